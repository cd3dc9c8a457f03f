# Turns `RUN KEY MEDIAN P99 COUNT` lines into the tables of tables.list, as Markdown that reads well as it is, or with
# -v json=1 into JSON.

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# Sorts list[1..count] and gives its median.
function median(list, count,    i, j, value) {
    for (i = 2; i <= count; i++) {
        value = list[i]
        for (j = i - 1; j >= 1 && list[j] > value; j--)
            list[j + 1] = list[j]
        list[j + 1] = value
    }
    return (list[int((count + 1) / 2)] + list[int(count / 2) + 1]) / 2
}

function number(value) {
    if (value == 0)
        return "0"
    return sprintf(value < 0.1 ? "%.3f" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
}

function is_figure(run, key) {
    return (run, key) in p50 && p50[run, key] != "skipped"
}

# Fills the globals middle, lowest, highest, tail ("-" where the programs gave none) and times, the runs that have it.
function gather(key,    run, list, tails) {
    times = 0
    for (run = 1; run <= runs; run++) {
        if (!is_figure(run, key))
            continue
        list[++times] = p50[run, key]
        tails[times] = p99[run, key]
    }
    if (!times)
        return
    middle = median(list, times)
    lowest = list[1]
    highest = list[times]
    tail = tails[1] == "-" ? "-" : median(tails, times)
}

# Of the runs that have both.
function ratio(key, peer,    run, list, count) {
    for (run = 1; run <= runs && key != peer; run++)
        if (is_figure(run, key) && is_figure(run, peer) && p50[run, peer] > 0)
            list[++count] = p50[run, key] / p50[run, peer]
    return count ? number(median(list, count)) : ""
}

# 100000 as 100,000.
function grouped(digits) {
    return length(digits) > 3 ? substr(digits, 1, length(digits) - 3) "," substr(digits, length(digits) - 2) : digits
}

function add_row(key, peer, text) {
    keys[++rows] = key
    peers[rows] = peer
    texts[rows] = text
}

function print_row(text, a, b, c, d) {
    printf "| %-58s | %8s | %17s | %8s | %8s |\n", text, a, b, c, d
}

function print_table_row(row,    key) {
    key = keys[row]
    if (key == "=") {
        printf "\n### %s\n\n", texts[row]
        print_row("", "median", "over the runs", "p99", "ratio")
        print_row("---", "---:", "---:", "---:", "---:")
        return
    }
    if (!((1, key) in p50))
        return
    gather(key)
    if (!times) {
        print_row(texts[row], "skipped", "", "", "")
        return
    }
    print_row(texts[row], number(middle), number(lowest) " - " number(highest), tail == "-" ? "" : number(tail),
              ratio(key, peers[row]))
}

function print_json(    i, comma) {
    print "{"
    for (i = 1; i <= known_count; i++) {
        gather(known[i])
        if (!times)
            continue
        if (comma)
            print comma
        comma = ","
        printf "  \"%s\": {\"median\": %.3f, \"lowest\": %.3f, \"highest\": %.3f, \"p99\": %s, \"runs\": %d}", known[i],
            middle, lowest, highest, tail == "-" ? "null" : sprintf("%.3f", tail), times
    }
    print "\n}"
}

FNR == NR && /^= / { keys[++rows] = "="; texts[rows] = substr($0, 3); next }
FNR == NR && /^[a-z]/ {
    split($0, field, "|")
    count = match(field[1], /[{].*[}]/) ? split(substr(field[1], RSTART + 1, RLENGTH - 2), choices, ",") : 0
    if (!count)
        add_row(trim(field[1]), trim(field[2]), trim(field[3]))
    for (i = 1; i <= count; i++)
        add_row(trim(substr(field[1], 1, RSTART - 1) choices[i]), trim(field[2]), trim(field[3]) ", " grouped(choices[i]))
    next
}
FNR == NR { next }

{
    if ($1 > runs)
        runs = $1
    if (!((1, $2) in p50) && $1 == 1)
        known[++known_count] = $2
    p50[$1, $2] = $3
    p99[$1, $2] = $4
}

END {
    if (json) {
        print_json()
        exit
    }
    print "- figures are microseconds, except where the heading says bytes or calls; `ratio` is to the row named beside,"
    print "  or of a part to its whole"
    printf "- bytes on the wire, out and back: a unit %d and %d, a call %d and %d, the tree in one batch %d and %d\n",
        p50[1, "wire.unit.out"], p50[1, "wire.unit.in"], p50[1, "wire.call.out"], p50[1, "wire.call.in"],
        p50[1, "wire.tree.out"], p50[1, "wire.tree.in"]
    for (row = 1; row <= rows; row++)
        print_table_row(row)
}
