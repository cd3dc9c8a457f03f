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
sq(x) = x * x
hyp(3, 4)
twice(5) - 1
# recursion, also of two functions through each other
fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)
fib(20)
even(n) = if n = 0 then 1 else odd(n - 1)
odd(n) = if n = 0 then 0 else even(n - 1)
even(10001)
sq(2) = 4
1 - 2 - 3 + 2 * (3 + 4) + 5
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
# boxed values, and adapters on the way to them and from them
sub[a, b] = a - b
sub(10, sub[10, 3])
soon(x) = triple(x)
triple[x] = x * 3
soon(5)
order[1, 2, 3, 4, 5, sq[2] + 2]
gcd[a, b] = if b = 0 then a else gcd[b, a - a / b * b]
gcd(12, 18)
# a function of the convention that is wanted is reached without one
half[x] = x / 0
use(x) = half(x)
use(4)
quick(x) = x / 0
half -> quick
use(4)
half -> sub
# signs, a comment behind a line, and more than there may be
-(2 + 1) * -2 # is 6
2 > 1
sq(99999999999999999999)
seven(a, b, c, d, e, f, g) = a
sq(1, 2, 3, 4, 5, 6, 7)
sq(1 2)
SCRIPT

cat >"$work/expected" <<'EXPECTED'
twice waits for hyp
hyp waits for sq
line-4 waits for sq
25
99
6765
even waits for odd
0
1
15
654322
sq: duplicate definition of 'sq', first defined in sq
line-20:.text+0x47: undefined symbol 'abs'
line-21: 'sq' is called by convention 3, but defined with 2: register an adapter for the two before
first waits for later
first: 'later' is called by convention 2, but defined with 3: register an adapter for the two before
line 24, column 4: a number, a short name or '(' is missing
line 25, column 12: no parameter is called that
line-29: signal 8, Floating point exception
    in ratio
    in average
    in line-29
15
line-32: signal 11, Segmentation fault: stack overflow
    in down
25
idle waits for never
3
soon waits for triple
15
654321
6
line-47: signal 8, Floating point exception
    in half
    in box
    in use
    in line-47
line-50: signal 8, Floating point exception
    in quick
    in use
    in line-50
'sub' has another calling convention, and there is no adapter for the two
6
1
line 55, column 24: the number is too large
line 56, column 26: more than six parameters
line 57, column 21: more than six arguments
line 58, column 5: ',' or ')' is missing
EXPECTED

"$calculator" "$work/first" <"$work/script" >"$work/output"
diff "$work/expected" "$work/output"

# The same code under other names gives the same objects.
sed 's/sq/kw/g; s/hyp/pyt/g' "$work/script" >"$work/renamed"
"$calculator" "$work/second" <"$work/renamed" >"$work/output"
sed 's/sq/kw/g; s/hyp/pyt/g' "$work/expected" | diff - "$work/output"
cmp "$work/first/sq.o" "$work/second/kw.o"
cmp "$work/first/hyp.o" "$work/second/pyt.o"
! cmp -s "$work/first/sq.o" "$work/first/fib.o"
if readelf -sW "$work/first/hyp.o" | grep -E 'hyp|sq'; then
    echo "a global name stands in the object"
    exit 1
fi
