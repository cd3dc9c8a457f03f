#!/bin/bash
# What a program does before main, in it and on its way out, it does as often as the same program does when ld has linked
# it, whichever way it leaves: counted over several runs of each way, and once more after the daemons are gone.
#
#   RUNS=100 tests/scripts/once.sh
set -eu
cd "$(dirname "$0")/../.."
jitctl=$(realpath "$O/bin/jitctl")
runs=${RUNS:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export LD_LIBRARY_PATH=$work

# Each effect is a letter: what a process writes with one call to a file that is opened for appending stays whole.
cat >library.c <<'END'
#include <stdlib.h>
#include <unistd.h>
static void left(void) { write(1, "h", 1); }
__attribute__((constructor)) static void begin(void) { write(1, "L", 1); atexit(left); }
__attribute__((destructor)) static void end(void) { write(1, "l", 1); }
int library_value(void) { return 1; }
END
cat >program.c <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int library_value(void);
static void say(const char *letter) { write(1, letter, 1); }
static void leave(const char *where, const char *here);
static const char *way;
static void handle(void) { say("a"); leave("handler", way); }
static void *begin_thread(void *argument) { say("t"); leave("thread", way); return argument; }
__attribute__((constructor)) static void begin(int count, char **arguments)
{ say("c"); way = count > 1 ? arguments[1] : ""; leave("constructor", way); }
__attribute__((destructor)) static void end(void) { say("d"); leave("destructor", way); }
/* WAY is PLACE-END. */
static void leave(const char *where, const char *here)
{
    size_t length = strlen(where);
    if (strncmp(here, where, length) != 0 || here[length] != '-')
        return;
    here += length + 1;
    way = "";
    if (!strcmp(here, "exit")) exit(3);
    if (!strcmp(here, "_exit")) _exit(4);
    if (!strcmp(here, "_Exit")) _Exit(5);
    if (!strcmp(here, "quick_exit")) quick_exit(6);
    if (!strcmp(here, "exit_group")) syscall(SYS_exit_group, 7);
    if (!strcmp(here, "abort")) abort();
    if (!strcmp(here, "crash")) *(volatile int *)8 = 1;
    if (!strcmp(here, "term")) { kill(getpid(), SIGTERM); pause(); }
    if (!strcmp(here, "kill")) { kill(getpid(), SIGKILL); pause(); }
    if (!strcmp(here, "pthread_exit")) pthread_exit(NULL);
}
static void quick(void) { say("q"); }
int main(int count, char **arguments)
{
    say("m");
    way = arguments[1];
    atexit(handle);
    at_quick_exit(quick);
    pthread_t thread;
    pthread_create(&thread, NULL, begin_thread, NULL);
    if (strncmp(way, "thread-", 7) != 0 || !strcmp(way, "thread-pthread_exit"))
        pthread_join(thread, NULL);
    else
        pause();
    leave("main", way);
    return 1 + library_value();
}
END
gcc -w -shared -fPIC -o libonce.so library.c
gcc -w -fPIC -c program.c
gcc -o program program.o -L. -lonce -Wl,-rpath,"$work"

# Where the C standard gives a meaning to none, natively too little is done: pthread_exit crashes before main, and exit in
# a destructor keeps the libraries' from being run.
ways=(main-return main-exit thread-exit constructor-exit handler-exit)
# The sanitizers' runtime takes what the frames that pthread_exit leaves have poisoned for an error of its own.
nm -D "$(dirname "$jitctl")/jitd-runner" | grep -q __asan_ ||
    ways+=(main-pthread_exit thread-pthread_exit handler-pthread_exit)
for place in main constructor thread handler destructor; do
    for end in _exit _Exit quick_exit exit_group abort crash term kill; do ways+=("$place-$end"); done
done

# OUTPUT WAY COMMAND...: statuses, and how often each letter was written.
count() {
    local output=$1 way=$2 i
    shift 2
    rm -f "$output"
    for ((i = 0; i < runs; i++)); do
        { timeout 20 "$@" "$way" >>"$output" 2>/dev/null; } 2>/dev/null && echo 0 || echo $?
    done | sort | uniq -c | tr '\n' ' '
}
letters() { fold -w1 "$1" | sort | uniq -c | tr -s ' \n' ' '; }

ulimit -c 0
wrong=0
for way in "${ways[@]}"; do
    wanted=$(count "native-$way" "$way" ./program)
    got=$(count "jitctl-$way" "$way" "$jitctl" run program.o -L. -lonce --)
    [[ $got == "$wanted" ]] || { echo "$way: natively statuses $wanted, with jitctl $got"; wrong=1; }
done
# Whatever were to come late has come by now.
sleep 0.2
for way in "${ways[@]}"; do
    wanted=$(letters "native-$way") got=$(letters "jitctl-$way")
    [[ $got == "$wanted" ]] || { echo "$way: natively $wanted, with jitctl $got"; wrong=1; }
done
exit $wrong
