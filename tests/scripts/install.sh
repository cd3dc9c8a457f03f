#!/bin/bash
# What `make && make install prefix=P` puts under P works there: the frontend in ten lines, built with pkg-config as
# anybody's would be, starts the jitd of that prefix, and where that is gone the one that PATH leads to.
set -eu
cd "$(dirname "$0")/../.."
if nm "$O/bin/jitd" | grep -q __asan_init; then
    echo "a library that was built for a sanitizer wants that in the program, too"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make=$work/make.log

# A build for the default prefix, whose objects are there: only what holds the prefix is made again.
cp -a "$O" "$work/build"
MAKEFLAGS='' make -s install O="$work/build" prefix="$work/usr" >"$make" 2>&1 || { cat "$make" && exit 1; }
! grep -q "CC .*client/call" "$make" || { echo "everything was built again" && exit 1; }

export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib
[[ $(pkg-config --variable=prefix jitd) == "$work/usr" ]]
mkdir "$work/own"
# shellcheck disable=SC2046 # words are meant
cc client/examples/poll_loop.c -o "$work/own/example" $(pkg-config --cflags --libs jitd)
echo 'int half(void); int answer(void) { return 2 * half(); }' | cc -x c -fPIC -c - -o "$work/answer.o"
echo 'int half(void) { return 21; }' | cc -x c -fPIC -c - -o "$work/half.o"

expect_runs() {
    local said
    said=$(env -u JITD "$@" "$work/own/example" "$work/answer.o" "$work/half.o" answer 2>&1) || { echo "$said" && exit 1; }
    [[ $said == *42* ]] || { echo "$said" && exit 1; }
}
expect_runs PATH=/usr/bin:/bin
mv "$work/usr/bin" "$work/elsewhere"
mkdir "$work/libexec" && mv "$work/usr/libexec/jitd" "$work/libexec/jitd"
! env -u JITD PATH=/usr/bin:/bin "$work/own/example" "$work/answer.o" "$work/half.o" answer >/dev/null 2>&1
expect_runs PATH="$work/elsewhere:/usr/bin:/bin"
