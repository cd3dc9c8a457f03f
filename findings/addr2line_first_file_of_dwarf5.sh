#!/bin/bash
# GNU addr2line 2.40 names the wrong file for code that clang 19 begins in an included file.
#
# A line program of DWARF 5 starts with file 1 (DWARF 5, 6.2.2), and clang numbers the compiled file 0. Where the first
# instruction comes from a function that was inlined from a header, clang's program need not name a file: 1 is the
# header. addr2line 2.40 prints the compiled file with the header's line number, a place that is there and is wrong;
# readelf 2.40 of the same package shows the right table. Seen with clang 19.1.7 at -O1, DWARF 5, its default.
#
# Exits 0 while this is so, 1 if addr2line answers otherwise, 2 if the packages cannot be had.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2

packages="binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2
    clang-19=1:19.1.7-3~deb12u1 libllvm19=1:19.1.7-3~deb12u1 libclang-cpp19=1:19.1.7-3~deb12u1
    libedit2 libz3-4 libxml2 libicu72 libbsd0 libmd0"
# shellcheck disable=SC2086 # words are meant
apt-get download $packages >download.log 2>&1 || { tail -n 3 download.log && exit 2; }
for package in *.deb; do dpkg -x "$package" root || exit 2; done
export LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu:$work/root/usr/lib/llvm-19/lib

cat >inner.h <<'END'
static inline __attribute__((always_inline)) int inner(int *p) {
    return *p + 1;
}
END
printf '#include "inner.h"\n\nint outer(int *p) {\n    return inner(p);\n}\n' >outer.c
root/usr/lib/llvm-19/bin/clang -g -O1 -c outer.c -o outer.o || exit 2

root/usr/bin/x86_64-linux-gnu-readelf --debug-dump=rawline outer.o | sed -n '/File Name Table/,/^$/p'
said=$(root/usr/bin/x86_64-linux-gnu-addr2line -i -f -e outer.o -j .text 0 | sed "s|$work/||" | tr '\n' ' ')
echo "addr2line: $said"
echo "right:     inner inner.h:2 outer outer.c:4"
[[ $said == "inner outer.c:2 outer outer.c:4 " ]]
