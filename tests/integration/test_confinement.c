/*
 * The sandbox, tried from inside by submitted code (tests/objects/attempts.c) and looked at from outside.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/jitd.pb-c.h"
#include "tests/integration/harness.h"
#include "tests/lib/temp.h"

TestSuite(confinement, .timeout = 60);

/* An errno, or how else an attempt ends. KILLED: by SIGSYS. CONTAINED: by that, or by SIGSEGV where the CPU refuses
   first: int 0x80 on a kernel that runs no programs of i386 (ia32_emulation=0) raises a general protection fault. */
enum { GRANTED = 0, KILLED = -1, CONTAINED = -2 };

static const struct {
    const char *function;
    int compute;
    int by_default;
} attempts[] = {
    {"try_memfd", ENOSYS, ENOSYS},
    {"try_map_executable", EACCES, EACCES},
    {"try_map_all", EACCES, EACCES},
    {"try_protect_executable", EACCES, EACCES},
    {"try_protect_key", ENOSYS, ENOSYS},
    {"try_ptrace", KILLED, KILLED},
    {"try_write_process", KILLED, KILLED},
    {"try_read_process", KILLED, KILLED},
    {"try_execute", EACCES, EACCES},
    {"try_execute_at", EACCES, EACCES},
    {"try_unshare", KILLED, KILLED},
    {"try_bpf", KILLED, KILLED},
    {"try_seccomp", ENOSYS, ENOSYS},
    {"try_io_uring", ENOSYS, ENOSYS},
    {"try_userfault", KILLED, KILLED},
    {"try_mount", KILLED, KILLED},
    {"try_send_descriptor", EACCES, EACCES},
    {"try_int80", CONTAINED, CONTAINED},
    {"try_closed_gate", CONTAINED, CONTAINED},
    {"try_socket", EACCES, EACCES},
    {"try_unix_socket", EACCES, EACCES},
    {"try_open_to_write", EACCES, EACCES},
    {"try_open_own_memory", EACCES, EACCES},
    {"try_open_inside", EACCES, GRANTED},
    {"try_unlink", EACCES, EACCES},
    {"try_kill_parent", EPERM, EPERM},
    {"try_kill_first", EPERM, EPERM},
    {"try_kill_all", EPERM, EPERM},
    {"try_kill_group", EPERM, EPERM},
    {"try_kill_thread_of_parent", EPERM, EPERM},
    {"try_fork", EPERM, EPERM},
    {"try_clone", EPERM, EPERM},
    {"try_clone3", ENOSYS, ENOSYS},
    {"try_stay_after_parent", EPERM, EPERM},
    {"try_raise_limit", EPERM, EPERM},
    {"try_own_id", GRANTED, GRANTED},
    {"try_signal_self", GRANTED, GRANTED},
};

static bool layer_is_on(const struct harness *harness, unsigned layer)
{
    return jitd_welcome(harness->session)->layers & 1u << layer;
}

static void expect_attempt(struct harness *harness, const char *function, int expected)
{
    struct harness_call call = harness_call(harness, function, 0);
    bool contained = call.end.signal == SIGSYS || (expected == CONTAINED && call.end.signal == SIGSEGV);
    if (expected < 0)
        cr_expect(call.ended && contained, "%s ended with %s %ld, signal %d", function,
                  call.returned ? "value" : "error", (long)call.value, call.end.signal);
    else
        cr_expect(call.returned && call.value == expected, "%s: %s instead of %s (signal %d)", function,
                  strerror((int)call.value), strerror(expected), call.end.signal);
}

static struct harness *open_with_attempts(const struct jitd_options *options)
{
    struct harness *harness = harness_open(options);
    struct object_bytes object = compile_c("#include \"tests/objects/attempts.c\"\n", HARNESS_FLAGS " -I.");
    harness_link(harness, "attempts.o", &object);
    object_free(&object);
    return harness;
}

static void attempt_all(enum jitd_profile profile)
{
    char path[512];
    struct temp directory = temp_make();
    FILE *file = fopen(temp_path(&directory, "inside", path), "w");
    cr_assert(file && fclose(file) == 0);
    const struct jitd_options options = {.profile = profile, .working_directory = directory.path};
    struct harness *harness = open_with_attempts(&options);
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        expect_attempt(harness, attempts[i].function,
                       profile == JITD_PROFILE_COMPUTE ? attempts[i].compute : attempts[i].by_default);
    cr_expect(access(path, F_OK) == 0, "a file was removed");
    cr_expect(access(temp_path(&directory, "written", path), F_OK) == -1, "a file was made");
    harness_close(harness);
    temp_remove(&directory);
}

Test(confinement, of_profile_default_denies_what_attacks_others)
{
    attempt_all(JITD_PROFILE_DEFAULT);
}

Test(confinement, of_profile_compute_denies_files_too)
{
    attempt_all(JITD_PROFILE_COMPUTE);
}

/* In `compute` the filter denies it without Landlock. */
Test(confinement, keeps_files_that_were_not_granted_from_being_read)
{
    struct harness *compute = open_with_attempts(&(struct jitd_options){.profile = JITD_PROFILE_COMPUTE});
    expect_attempt(compute, "try_open_outside", EACCES);
    harness_close(compute);
    struct harness *harness = open_with_attempts(NULL);
    bool landlock = layer_is_on(harness, JITD__PROTO__LAYER__LAYER_LANDLOCK);
    expect_attempt(harness, "try_open_outside", landlock ? EACCES : GRANTED);
    harness_close(harness);
    if (!landlock)
        cr_skip_test("the kernel has no Landlock, which would keep them in the profile default");
}

Test(confinement, reports_a_forbidden_call_with_its_caller)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "caller.o",
                   "#include <sys/syscall.h>\n#include <unistd.h>\n"
                   "long forbidden(long x) { return syscall(SYS_ptrace, 0, 0, 0, 0) + 1; }\n");
    struct harness_end end = harness_call(harness, "forbidden", 0).end;
    cr_expect_eq(end.signal, SIGSYS);
    cr_assert(end.record && end.frame_count >= 2);
    cr_expect_str_eq(end.frames[0].function, "syscall");
    cr_expect_str_eq(end.frames[1].function, "forbidden");
    harness_close(harness);
}

Test(confinement, is_not_lifted_by_catching_its_signal)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "catching.o",
                   "#include <signal.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                   "static volatile long caught; static void take(int n) { caught++; }\n"
                   "long attempt(long x) { signal(SIGSYS, take); syscall(SYS_unshare, 0x10000000);\n"
                   "    return caught; }\n");
    cr_expect_eq(harness_value(harness, "attempt", 0), 1);
    harness_close(harness);
}

/* ---- what works ---- */

static const char ordinary_source[] =
    "#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <time.h>\n"
    "static long sum; static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;\n"
    "static void *add(void *n) { char *block = malloc(1 << 16); memset(block, 1, 1 << 16);\n"
    "    pthread_mutex_lock(&lock); sum += (long)n; pthread_mutex_unlock(&lock); free(block); return n; }\n"
    "long threads(long n) { pthread_t all[64]; sum = 0;\n"
    "    for (long i = 0; i < n; i++) if (pthread_create(&all[i], 0, add, (void *)i)) return -1;\n"
    "    for (long i = 0; i < n; i++) pthread_join(all[i], 0);\n"
    "    return sum; }\n"
    "long allocate(long bytes) { char *block = malloc(bytes); if (!block) return 0; memset(block, 1, bytes);\n"
    "    block = realloc(block, bytes + 4096); long last = block[bytes - 1]; free(block); return last; }\n"
    "long print(long x) { printf(\"%.3f %ld\\n\", 1.5, x); return fflush(stdout); }\n"
    "long ticks(long x) { struct timespec a, b; clock_gettime(CLOCK_MONOTONIC, &a); nanosleep(&(struct timespec){0, "
    "1}, 0);\n"
    "    clock_gettime(CLOCK_MONOTONIC, &b); return b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec; }\n"
    "long date(long x) { struct tm tm; time_t t = x; char text[64]; return strftime(text, 64, \"%Y\", gmtime_r(&t, "
    "&tm)); }\n";

static void do_ordinary_things(enum jitd_profile profile)
{
    const struct jitd_options options = {.profile = profile};
    struct harness *harness = harness_open_with_output(&options);
    harness_link_c(harness, "ordinary.o", ordinary_source);
    cr_expect_eq(harness_value(harness, "threads", 32), 31 * 32 / 2);
    cr_expect_eq(harness_value(harness, "allocate", 100 << 20), 1);
    cr_expect_eq(harness_value(harness, "print", 7), 0);
    cr_expect_eq(harness_value(harness, "ticks", 0), 1);
    cr_expect_eq(harness_value(harness, "date", 0), 4);
    char *output = harness_output(harness);
    cr_expect_str_eq(output, "1.500 7\n");
    free(output);
    harness_close(harness);
}

Test(confinement, of_profile_default_lets_ordinary_code_be)
{
    do_ordinary_things(JITD_PROFILE_DEFAULT);
}

Test(confinement, of_profile_compute_lets_ordinary_code_be)
{
    do_ordinary_things(JITD_PROFILE_COMPUTE);
}

/* ---- from outside ---- */

Test(confinement, leaves_the_runner_four_descriptors)
{
    struct harness *harness = harness_open(NULL);
    char path[64];
    static const char *const expected[] = {"0", "1", "2", "6"};
    size_t count = 0;
    harness_link_c(harness, "live.o", "long live(long x) { return x; }\n");
    harness_value(harness, "live", 0);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)harness_process(harness, HARNESS_RUNNER));
    DIR *directory = opendir(path);
    cr_assert(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; i < 4; i++)
            known |= strcmp(entry->d_name, expected[i]) == 0;
        count += entry->d_name[0] != '.';
        cr_expect(known, "descriptor %s is open", entry->d_name);
    }
    closedir(directory);
    cr_expect_eq(count, 4);
    harness_close(harness);
}

Test(confinement, shows_in_the_kernel_s_own_words)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "live.o", "long live(long x) { return x; }\n");
    harness_value(harness, "live", 0);
    static const struct {
        enum harness_process which;
        const char *name;
    } rows[] = {{HARNESS_LINKER, "linker"}, {HARNESS_RUNNER, "runner"}};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = harness_process(harness, rows[i].which);
        cr_expect_eq(harness_status(pid, "NoNewPrivs"), 1, "%s", rows[i].name);
        cr_expect_eq(harness_status(pid, "Seccomp"), 2, "%s", rows[i].name);
    }
    cr_expect(layer_is_on(harness, JITD__PROTO__LAYER__LAYER_NO_NEW_PRIVILEGES));
    cr_expect(layer_is_on(harness, JITD__PROTO__LAYER__LAYER_SECCOMP));
    cr_expect(layer_is_on(harness, JITD__PROTO__LAYER__LAYER_LINKER_SECCOMP));
    cr_expect(layer_is_on(harness, JITD__PROTO__LAYER__LAYER_RLIMITS));
    harness_close(harness);
}

/* Code in the middle of a call, with threads, when one of the session's processes is killed. */
static void expect_all_gone_after(enum harness_process which, bool the_daemon)
{
    cr_assert(freopen("/dev/null", "w", stderr)); /* what the others say of the death is right, but no test's output */
    struct harness *harness = harness_open_with_output(NULL);
    struct harness_call call;
    pid_t pids[HARNESS_PROCESSES];
    harness_link_c(
        harness, "busy.o",
        "#include <pthread.h>\n#include <unistd.h>\nstatic void *spin(void *x) { for (;;) usleep(1000); }\n"
        "long busy(long x) { pthread_t t; pthread_create(&t, 0, spin, 0); write(1, \"busy\", 4); spin(0); }\n");
    harness_call_begin(harness, "busy", 0, &call);
    harness_await_output(harness, "busy");
    size_t count = harness_processes(harness->daemon, pids);
    cr_assert_geq(count, 4);
    kill(the_daemon ? harness->daemon : harness_process(harness, which), SIGKILL);
    harness_await_disconnection(harness);
    cr_expect(call.completed && call.code == JITD_ERROR_DISCONNECTED, "%s", call.text);
    harness_expect_gone(pids + 1, count - 1);
    harness_close(harness);
}

Test(confinement, takes_all_processes_along_when_the_daemon_is_killed)
{
    expect_all_gone_after(HARNESS_LINKER, true);
}

Test(confinement, takes_all_processes_along_when_the_linker_is_killed)
{
    expect_all_gone_after(HARNESS_LINKER, false);
}

Test(confinement, takes_all_processes_along_when_the_template_is_killed)
{
    expect_all_gone_after(HARNESS_TEMPLATE, false);
}
