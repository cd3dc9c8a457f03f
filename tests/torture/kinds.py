"""The table of known differences, in the file `kinds`: how each is recognised, and why it is there."""

import os
import re
import subprocess
from dataclasses import dataclass

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kinds")


@dataclass(frozen=True)
class Kind:
    """`by` says where the pattern is looked for: in jitctl's `error`, or in the names that the program `defines`."""

    name: str
    by: str
    pattern: re.Pattern
    reason: str


def read(path=TABLE):
    """Reads the table. Raises ValueError for a line that is not NAME | BY | PATTERN | REASON."""
    kinds = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split(" | ")]
            if len(fields) != 4 or fields[1] not in ("error", "defines"):
                raise ValueError(f"{path}:{number}: not NAME | error or defines | PATTERN | REASON")
            kinds.append(Kind(fields[0], fields[1], re.compile(fields[2]), fields[3]))
    return kinds


def of_error(kinds, text):
    """The kind of a refusal, by its first error, or None."""
    lines = [line for line in text.splitlines() if line.startswith("jitctl: ")]
    for kind in kinds:
        if kind.by == "error" and lines and kind.pattern.search(lines[0]):
            return kind
    return None


def of_program(kinds, objects):
    """The kind of program, by what its objects define, or None."""
    listing = subprocess.run(["nm", "--defined-only", "--extern-only", "--format=posix", *objects], check=True,
                             capture_output=True, text=True).stdout
    names = [line.split()[0] for line in listing.splitlines() if line and not line.endswith(":")]
    for kind in kinds:
        if kind.by == "defines" and any(kind.pattern.fullmatch(name) for name in names):
            return kind
    return None
