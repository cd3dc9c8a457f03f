#!/bin/bash
# Backtraces of jitctl are those that gdb shows of the program linked natively and addr2line finds in its object: from each
# compiler that is there, in each form that debug information has.
set -eu
cd "$(dirname "$0")/../.."
jitctl=$(realpath "$O/bin/jitctl")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >in.h <<'SOURCE'
static inline __attribute__((always_inline)) int innermost(int *p) {
    return p[*p];
}
static inline __attribute__((always_inline)) int middle(int *p) {
    return innermost(p) + 1;
}
SOURCE
cat >top.c <<'SOURCE'
#include "in.h"
__attribute__((noinline)) int top(int *p) {
    return middle(p) * 2;
}

int main(void) {
    return top(0) + 1;
}
SOURCE
cat >expected <<'FRAMES'
innermost in.h:2
middle in.h:5
top top.c:3
main top.c:7
FRAMES
grep -v in.h: expected >expected.split
sed -i '1s/.*/top in.h:2/' expected.split

# clang has ./in.h, gcc in.h.
fail() {
    echo "$*"
    exit 1
}

# "FUNCTION FILE:LINE" of each frame, as jitctl prints it.
of_jitctl() {
    timeout 30 "$jitctl" run "$@" 2>report
    sed -nE 's/^  #[0-9]+ +0x[0-9a-f]+ in ([^ ,+]+).* at (\.\/)?([^ ]+)$/\1 \3/p' report
}
of_gdb() {
    gdb -nx -batch -ex run -ex bt "$1" 2>/dev/null |
        sed -nE 's/^#[0-9]+ +(0x[0-9a-f]+ in )?([^ ]+) .* at (\.\/)?([^ ]+)$/\2 \4/p'
}
# Places that jitctl names, "SECTION OFFSET", looked up in the object. Files are left out: binutils 2.40 takes one of clang
# 19's for another.
of_addr2line() {
    local section offset
    while read -r section offset; do
        addr2line -i -f -j "$section" -e "$1" "$offset" | paste -d' ' - - | sed 's| [^ ]*:| |; s| (discriminator.*||'
    done
}
places() {
    timeout 30 "$jitctl" run --json "$@" 2>&1 | sed -nE '/"inlined"/,/\]/d; s/^ *"exact": (.*),$/\1/p
        s/^ *"section": "(.*)",$/\1/p; s/^ *"section_offset": (.*),$/\1/p' | paste -d' ' - - - |
        while read -r exact section offset; do
            [[ $exact = true ]] || offset=$((offset - 1))
            printf '%s 0x%x\n' "$section" "$offset"
        done
}

# A debugger may be missing, or forbidden to trace.
has_gdb=
gcc -g -O1 -o native top.c && command -v gdb >/dev/null && [[ $(of_gdb ./native) = "$(<expected)" ]] && has_gdb=yes

try() {
    local words=$1
    $words -fPIC -c top.c -o top.o 2>/dev/null || return 0 # this compiler has no such option
    ${2:-true} top.o
    of_jitctl top.o >found || true
    diff expected found >&2 || fail "$words${2:+, $2}: jitctl finds this instead"
    places top.o | of_addr2line top.o >found
    diff <(sed 's| .*:| |' expected) found >&2 || fail "$words${2:+, $2}: addr2line finds this instead"
    [[ -z $has_gdb ]] || { $words top.c -o native && of_gdb ./native >found; }
    [[ -z $has_gdb ]] || diff expected found >&2 || fail "$words: gdb finds this instead"
}
without_aranges() { objcopy -R .debug_aranges -R .rela.debug_aranges "$1"; }
with_zlib() { objcopy --compress-debug-sections=zlib "$1"; }

for compiler in gcc clang clang-14 clang-19; do
    command -v $compiler >/dev/null || continue
    for options in -g -gdwarf-4 -gdwarf-5 -g1 -gline-tables-only "-g -gz=zlib" "-g -ffunction-sections" \
        "-g -fdebug-types-section"; do
        [[ $compiler,$options == gcc,-g1 ]] && continue # writes less about what is inlined
        try "$compiler -O1 $options"
    done
done
try "gcc -O1 -g" without_aranges
try "gcc -O1 -gdwarf-4" without_aranges
try "gcc -O1 -g" with_zlib

# Split: lines are in the object, what was inlined is in a file beside it.
for options in -gdwarf-4 -gdwarf-5; do
    gcc -O1 $options -gsplit-dwarf -fPIC -c top.c -o top.o
    of_jitctl top.o >found || true
    diff expected found || fail "$options -gsplit-dwarf"
    rm top.dwo
    of_jitctl top.o >found || true
    diff expected.split found || fail "$options -gsplit-dwarf, without the .dwo"
    grep -q 'top.o: inlined functions are not known: they are described in top.dwo, which is not there' report ||
        fail "nothing is said of a missing .dwo: $(<report)"
    mkfifo top.dwo
    of_jitctl top.o >found || true
    rm top.dwo
    diff expected.split found || fail "a FIFO for a .dwo"
done

# zstd: read, or named.
gcc -O1 -g -fPIC -c top.c -o top.o
if objcopy --compress-debug-sections=zstd top.o 2>/dev/null; then
    of_jitctl top.o >found || true
    diff expected found >/dev/null || grep -q 'top.o: its debug information is compressed with zstd' report ||
        fail "nothing is said of zstd: $(<report)"
fi
