"""What came of it all: a table by folder and configuration, reasons, and what differs."""

from collections import Counter

# (heading, statuses that it counts)
COLUMNS = [
    ("tests", None),
    ("agree", ("agrees",)),
    ("differ", ("differs",)),
    ("known", ("known",)),
    ("profile", ("profile",)),
    ("unsteady", ("unsteady",)),
    ("refused", ("refused",)),
    ("unevaluated", ("unevaluated",)),
    ("skipped", ("skipped",)),
    ("native fails", ("native",)),
]

RUN = {"agrees", "differs", "known", "profile", "unsteady"}
WANTED = RUN | {"refused", "unevaluated"}

REASONS = [
    ("refused", "refused by jitd, by kind"),
    ("known", "known differences, by kind"),
    ("unevaluated", "not run, since it is not understood here"),
    ("skipped", "skipped by the test's own wish"),
    ("native", "the native program does not compile or does not exit 0"),
]


def render(results):
    """`results` are (test, configuration, result)."""
    return "\n".join([*table(results), "", *coverage(results), "", *reasons(results), *listed(results)]) + "\n"


def table(results):
    rows = {}
    for test, configuration, result in results:
        rows.setdefault((configuration.name, test.folder.name), Counter())[result["status"]] += 1
    for (configuration, _), counts in list(rows.items()):
        rows.setdefault((configuration, "all"), Counter()).update(counts)
    cells = [["configuration", "folder", *(heading for heading, _ in COLUMNS)]]
    for (configuration, folder), counts in sorted(rows.items(), key=lambda row: row[0][0]):
        cells.append([configuration, folder, *(str(count(counts, statuses)) for _, statuses in COLUMNS)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in cells]


def count(counts, statuses):
    return sum(counts[status] for status in statuses or counts)


def share(results):
    """Of the programs that exit 0 natively, or may do so, how many were run."""
    statuses = Counter(result["status"] for _, _, result in results)
    wanted = sum(statuses[status] for status in WANTED)
    return (sum(statuses[status] for status in RUN), wanted)


def coverage(results):
    ran, wanted = share(results)
    percent = f" ({100 * ran / wanted:.1f} %)" if wanted else ""
    return [f"{ran} of {wanted} programs that exit 0 natively were run{percent}"]


def reasons(results):
    lines = []
    for status, heading in REASONS:
        counts = Counter(result["reason"] for _, _, result in results if result["status"] == status)
        if counts:
            lines += [heading + ":", *(f"  {number:6}  {reason}" for reason, number in counts.most_common()), ""]
    return lines


def listed(results):
    lines = []
    for status, heading in (("differs", "differs"), ("profile", "differs because of the profile"),
                            ("unsteady", "unsteady")):
        found = [f"  {test.name}  [{configuration.name}]  {result['reason']}"
                 for test, configuration, result in results if result["status"] == status]
        if found:
            lines += [heading + ":", *found, ""]
    return lines
