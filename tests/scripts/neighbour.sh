#!/bin/bash
# libjitd starts the jitd that lies beside the program, or in the bin next to it, and the one that JITD names instead where
# it names one.
set -eu
cd "$(dirname "$0")/../.."
daemon=$(realpath "$O/bin/jitd")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# FILE: a jitd that leaves a mark.
make_daemon() {
    printf '#!/bin/sh\ntouch "%s.started"\nexec "%s" "$@"\n' "$1" "$daemon" >"$1"
    chmod +x "$1"
}
mkdir "$work/own" "$work/bin"
cp "$O/examples/calculator" "$work/own/calculator"
for place in own/jitd bin/jitd named; do make_daemon "$work/$place"; done

expect_started() {
    [[ $(echo '1 + 1' | "$work/own/calculator") == *2* ]]
    started=$(cd "$work" && find . -name '*.started' -printf '%P\n')
    [[ $started == "$1.started" ]] || { echo "not $1 but: $started" && exit 1; }
    find "$work" -name '*.started' -delete
}
unset JITD
expect_started own/jitd
export JITD=$work/named
expect_started named
export JITD=
expect_started own/jitd
rm "$work/own/jitd"
expect_started bin/jitd
