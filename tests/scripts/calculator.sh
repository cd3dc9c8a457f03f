#!/bin/bash
# The example of a compiler with module-local names: forward references, recursion, errors, crashes, and objects that
# depend on the code alone.
set -eu
cd "$(dirname "$0")/../.."
JITD=$(realpath "$O/bin/jitd")
export JITD
calculator=$O/examples/calculator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/first" "$work/second"

cat >"$work/script" <<'SCRIPT'
# a forward reference, and a chain of them
twice(x) = hyp(x, x) * 2
hyp(a, b) = sq(a) + sq(b)
hyp(3, 4)
?
sq(x) = x * x
hyp(3, 4)
twice(5) - 1
# recursion, also of two functions through each other
fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)
fib(20)
even(n) = if n == 0 then 1 else odd(n - 1)
odd(n) = if n == 0 then 0 else even(n - 1)
even(10001)
1 - 2 - 3 + 2 * (3 + 4) - -5
order(a, b, c, d, e, f) = a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f
1 + order(1, 2, 3, 4, 5, sq(2) + 2)
# mistakes
sq(x) = x + x
abs(3)
sq(1, 2)
first(x) = later(x)
later(x, y) = x
3 +
wrong(x) = y
# crashes, and the lives after them
ratio(a, b) = a / b
average(a, b, n) = ratio(a + b, n)
average(10, 20, 0)
average(10, 20, 2)
down(n) = down(n + 1) + 1
down(0)
hyp(3, 4)
idle(x) = never(x) + more(x)
SCRIPT

cat >"$work/expected" <<'EXPECTED'
twice waits for hyp
hyp waits for sq
line-4 waits for hyp
twice waits for hyp
hyp waits for sq
sq is ready
hyp is ready
twice is ready
25
99
fib is ready
6765
even waits for odd
odd is ready
even is ready
0
15
order is ready
654322
sq is defined already; to replace a function is a feature of a later version
line-20: abs is not defined
line-21 calls sq with another number of arguments than it has
first waits for later
later is ready
first calls later with another number of arguments than it has
line 24, column 5: a number, a name or '(' is missing
line 25, column 14: no parameter is called that
ratio is ready
average is ready
line-29: signal 8, Floating point exception
    in ratio
    in average
    in line-29
15
down is ready
line-32: signal 11, Segmentation fault: stack overflow
    in down
25
idle waits for never, more
idle waits for never, more
EXPECTED

"$calculator" --dump "$work/first" "$work/script" >"$work/output"
diff "$work/expected" "$work/output"

# The same code under other names gives the same objects.
sed 's/sq/kw/g; s/hyp/pyt/g' "$work/script" >"$work/renamed"
"$calculator" --dump "$work/second" <"$work/renamed" >"$work/output"
sed 's/sq/kw/g; s/hyp/pyt/g' "$work/expected" | diff - "$work/output"
cmp "$work/first/sq.o" "$work/second/kw.o"
cmp "$work/first/hyp.o" "$work/second/pyt.o"
! cmp -s "$work/first/sq.o" "$work/first/fib.o"
if readelf -sW "$work/first/hyp.o" | grep -E 'hyp|sq'; then
    echo "a global name stands in the object"
    exit 1
fi

# Same submissions, same places.
printf '%s\n' 'f(x) = g(x)' 'g(x) = x' '?' >"$work/places"
"$calculator" "$work/places" >"$work/first.txt"
"$calculator" "$work/places" >"$work/second.txt"
grep -q '^f is at arena + 0x' "$work/first.txt"
diff "$work/first.txt" "$work/second.txt"
