# Draws the rows of a soak's series (bench/soak.c): as text, and with -v svg=FILE as a picture. Exits 1 where memory in
# the last quarter is more, on the average, than in the second one: where the machine is busy single rows stand out.
#
# Columns: units done, session, seconds, used bytes of the zones X S R D Z, private bytes of linker and runner, median
# and 99th percentile of a step in microseconds, microseconds of a backtrace.

BEGIN {
    columns = split("X S R D Z linker runner median p99 backtrace", keys, " ")
    split("arena, zone X (code), KiB;arena, zone S (slots), KiB;arena, zone R (constants and tables), KiB;" \
          "arena, zone D (data), KiB;arena, zone Z (zeros), KiB;linker, private memory, KiB;" \
          "runner, private memory but for the most that D and Z have had, KiB;add, call and remove, median, us;the same, 99th percentile, us;" \
          "backtrace through a unit, us", titles, ";")
    width = 72
    height = 6
}

/^#/ { next }

{
    rows++
    units[rows] = $1
    for (c = 1; c <= columns; c++) {
        value[c, rows] = $(c + 3) / (c <= 7 ? 1024 : 1)
        if (c == 5 && value[4, rows] + value[5, rows] > private)
            private = value[4, rows] + value[5, rows]
        if (c == 7)
            value[c, rows] -= private
        if (value[c, rows] > highest[c])
            highest[c] = value[c, rows]
    }
}

# Of the rows from `from` to `to`, both parts of the whole.
function mean(c, from, to,    row, sum, count) {
    for (row = int(rows * from) + 1; row <= rows * to; row++) {
        sum += value[c, row]
        count++
    }
    return sum / count
}

# Each column of text is the mean of some rows.
function draw(c,    x, y, row, first, last, sum, level, line) {
    printf "%s: %.4g at most, %.4g in the end\n", titles[c], highest[c], value[c, rows]
    for (x = 0; x < width; x++) {
        first = int(rows * x / width) + 1
        last = int(rows * (x + 1) / width)
        if (last < first)
            last = first
        sum = 0
        for (row = first; row <= last; row++)
            sum += value[c, row]
        level[x] = highest[c] ? int(sum / (last - first + 1) / highest[c] * (height - 0.01)) : 0
    }
    for (y = height - 1; y >= 0; y--) {
        line = ""
        for (x = 0; x < width; x++)
            line = line (level[x] == y ? "*" : " ")
        sub(/ +$/, "", line)
        printf "  |%s\n", line
    }
    printf "  +"
    for (x = 0; x < width; x++)
        printf "-"
    printf " %d units\n\n", units[rows]
}

function draw_svg(    c, row, top) {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"%d\" font-family=\"sans-serif\" " \
           "font-size=\"12\">\n", columns * 120 > svg
    for (c = 1; c <= columns; c++) {
        top = (c - 1) * 120
        printf "<text x=\"10\" y=\"%d\">%s: %.4g at most</text>\n", top + 14, titles[c], highest[c] > svg
        printf "<path d=\"M10 %d V%d H710\" fill=\"none\" stroke=\"#888\"/>\n", top + 20, top + 110 > svg
        printf "<polyline fill=\"none\" stroke=\"#06c\" points=\"" > svg
        for (row = 1; row <= rows; row++)
            printf "%.1f,%.1f ", 10 + 700 * units[row] / units[rows],
                top + 110 - (highest[c] ? 85 * value[c, row] / highest[c] : 0) > svg
        print "\"/>" > svg
    }
    print "</svg>" > svg
}

END {
    if (!rows)
        exit 1
    for (c = 1; c <= columns; c++)
        draw(c)
    if (svg)
        draw_svg()
    for (c = 1; c <= 7 && rows >= 40; c++)
        if (mean(c, 0.75, 1) > 1.1 * mean(c, 0.25, 0.5) + 64) {
            printf "soak: it grows: %s: %.0f, before %.0f\n", titles[c], mean(c, 0.75, 1), mean(c, 0.25, 0.5)
            grown = 1
        }
    exit grown
}
