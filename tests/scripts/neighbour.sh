#!/bin/bash
# libjitd starts the jitd that lies beside the program, and the one that JITD names instead where it names one.
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
cp "$O/examples/calculator" "$work/calculator"
make_daemon "$work/jitd"
make_daemon "$work/named"

expect_started() {
    [[ $(echo '1 + 1' | "$work/calculator") == *2* ]]
    [[ -e $work/$1.started && ! -e $work/$2.started ]] || { echo "not $1 but $2 was started" && exit 1; }
    rm "$work/$1.started"
}
unset JITD
expect_started jitd named
export JITD=$work/named
expect_started named jitd
export JITD=
expect_started jitd named
