#!/bin/bash
# The demo's SQLite program prints through jitd what it prints when linked natively.
set -eu
cd "$(dirname "$0")/../.."
jitctl=$(realpath "$O/bin/jitctl")
read -ra compiler <<<"${CC:-cc}"
archive=$("${compiler[@]}" -print-file-name=libsqlite3.a)
[[ -f $archive ]] || { echo "libsqlite3.a is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${compiler[@]}" -O2 -g -c -o "$work/sqlite.o" demo/sqlite.c
"${compiler[@]}" -o "$work/native" "$work/sqlite.o" "$archive" -lm
"$work/native" >"$work/native.txt"
"$jitctl" run "$work/sqlite.o" "$archive" -lm >"$work/jitd.txt"
(($(wc -l <"$work/native.txt") > 10)) || { echo "the program printed too little"; exit 1; }
diff "$work/native.txt" "$work/jitd.txt"
