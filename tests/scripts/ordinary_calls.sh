#!/bin/bash
# What ordinary programs and libraries ask of the kernel is granted or refused by an errno, in both profiles that confine: a program
# that makes over a hundred calls of libc lives to the end of them.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -w -O1 -fPIC -c tests/objects/ordinary_calls.c -o "$work/calls.o"

# PROFILE, then lines "CALL ANSWER".
expect_answers() {
    "$O/bin/jitctl" run --sandbox "$1" "$work/calls.o" </dev/null >"$work/said" || { cat "$work/said" && exit 1; }
    [[ $(tail -n 1 "$work/said") == "end of calls" ]]
    while read -r line; do
        grep -qx "$line" "$work/said" || { echo "$1: not '$line' but: $(grep "^${line%% *} " "$work/said")" && exit 1; }
    done
}

expect_answers compute <<'END'
perror granted
dup granted
pipe granted
alarm granted
select granted
umask granted
shared_memory granted
executable_memory EACCES
timer EAGAIN
memfd ENOSYS
execve EACCES
fork EPERM
iconv EINVAL
END
expect_answers default <<'END'
perror granted
timer granted
setuid granted
socketpair granted
executable_memory EACCES
protect_executable EACCES
huge_memory ENOMEM
inotify ENOSYS
mq_open ENOSYS
shmget ENOSYS
execve EACCES
splice EINVAL
sync granted
socket EACCES
END
