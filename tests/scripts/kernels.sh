#!/bin/bash
# On kernels and in containers that lack something, jitd works without it, or says what is missing: the programs under each
# of tests/kernels/conditions. `make kernels` runs all tests there.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$(realpath "$O")
if grep -qa __asan_init "$build/bin/jitd"; then
    echo "the sanitizers' own runtimes need /proc, a tracer and more addresses"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
failures=0

cat >"$work/hello.c" <<'END'
#include <pthread.h>
#include <stdio.h>
static int zeros[100000], data[1000] = {1};
static void *set(void *at) { return *(int *)at = 5, at; }
int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, 0, set, &zeros[99999]) || pthread_join(thread, 0)) return 1;
    printf("hello %d\n", zeros[99999] + data[0]);
    return 7;
}
END
echo 'int main(void) { return *(volatile int *)16; }' >"$work/crash.c"
for name in hello crash; do
    ${CC:-cc} -O1 -g -fPIC -c -o "$work/$name.o" "$work/$name.c" || exit 1
done
chmod 644 "$work"/*.o

fail() {
    echo "$conditions: $1"
    sed 's/^/    /' "$work/out" "$work/error"
    failures=$((failures + 1))
}

# Reads from pipes alone, since files may be limited. COMMAND... -> $status, $work/out, $work/error
under() {
    # shellcheck disable=SC2086 # several words are meant
    { timeout 20 "$build/test/under" $conditions -- "$@" 2>&3 3>&- | cat >"$work/out"
      echo "${PIPESTATUS[0]}" >"$work/status"; } 3>&1 | cat >"$work/error"
    status=$(<"$work/status")
}

# TEXT: what jitctl may say on standard error; "" for nothing.
expect_works() {
    local said=$1
    [[ $status == 7 && $(<"$work/out") == 'hello 6' ]] || { fail "hello ended with status $status"; return; }
    [[ $(<"$work/error") == "$said" ]] || { fail "standard error is not '$said'"; return; }
    if [[ -n $said ]]; then
        JITD_LOG=error under "$build/bin/jitctl" run "$work/hello.o"
        [[ $status == 7 && ! -s $work/error ]] || { fail "JITD_LOG=error does not silence it"; return; }
    fi
    under "$build/bin/jitctl" run "$work/crash.o"
    [[ $status == 139 && $(<"$work/error") == *'address 0x10'*'in main+'*'crash.c:1'* ]] ||
        { fail "the crash ended with status $status"; return; }
    under sh -c "echo 1+1 | exec '$build/examples/calculator'"
    [[ $(<"$work/out") == *2* ]] || fail "the calculator ended with status $status"
}

expect() { # EXPECTATION
    under "$build/bin/jitctl" run "$work/hello.o"
    case $1 in
    works) expect_works '' ;;
    lacks\ *) expect_works "jitctl: warning: confined without ${1#lacks }, which the kernel or the daemon's command line does not provide" ;;
    refuses\ *)
        [[ $status == 125 && $(<"$work/error") == *"${1#refuses }"* ]] || fail "status $status instead of a refusal" ;;
    *) fail "the expectation '$1' is not understood" ;;
    esac
}

# A root directory with the programs, their libraries and nothing else.
make_root() {
    mkdir -p "$1/bin" && cp "$build"/bin/* "$1/bin" && cp "$work/hello.o" "$1"
    ldd "$build"/bin/jitctl "$build"/bin/jitd-runner | grep -o '/[^ :]*/lib[^ :]*\.so[^ :]*\|/lib64/ld[^ ]*' | sort -u |
        while read -r library; do
            mkdir -p "$1$(dirname "$library")" && cp -L "$library" "$1$library"
        done
}

# MISSING-FILE TEXT: what is said without the file; none, and nothing.
expect_in_root() {
    conditions="root=$work/root"
    [[ -n $1 ]] && mv "$work/root/$1" "$work/aside"
    under /bin/jitctl run /hello.o
    if [[ $status == 77 ]]; then
        echo "skipped: chroot: $(<"$work/error")"
    elif [[ -z $1 ]]; then
        [[ $status == 7 && $(<"$work/out") == 'hello 6' && ! -s $work/error ]] || fail "status $status"
    else
        [[ $status == 125 && $(<"$work/error") == *"$2"* ]] || fail "without $1: status $status, not '$2'"
    fi
    [[ -n $1 ]] && mv "$work/aside" "$work/root/$1"
}

while IFS='|' read -r conditions expectation _; do
    conditions=$(xargs <<<"$conditions")
    [[ -z $conditions || $conditions == '#'* ]] && continue
    under true
    if [[ $status == 77 ]]; then
        echo "skipped: $conditions: $(<"$work/error")"
    elif [[ $status != 0 ]]; then
        fail "not even true runs"
    else
        expect "$(xargs <<<"$expectation")"
    fi
done <tests/kernels/conditions

make_root "$work/root"
dynamic_linker=$(ldd "$build/bin/jitd-runner" | grep -o '/[^ ]*/ld[^ ]*')
expect_in_root '' ''
expect_in_root bin/jitd "cannot start the daemon"
expect_in_root bin/jitd-runner "there is no jitd-runner in /bin/"
expect_in_root "$(cd "$work/root" && find . -name 'libgcc_s.so*')" 'libgcc_s.so.1: cannot open shared object file'
# jitctl needs the dynamic linker too.
sed -i "s|$dynamic_linker|${dynamic_linker%?}9|" "$work/root/bin/jitd-runner"
conditions="root=$work/root"
under /bin/jitctl run /hello.o
[[ $status == 77 || $(<"$work/error") == *'/bin/jitd-runner: the dynamic linker or interpreter that it names is not there'* ]] ||
    fail "status $status"
((failures == 0))
