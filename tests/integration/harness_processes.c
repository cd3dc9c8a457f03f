/*
 * The session's processes, as /proc shows them: which is which, and that none is left.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/integration/harness.h"

pid_t harness_only_child(void)
{
    char path[64];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    cr_assert(file && fscanf(file, "%d", &pid) == 1, "the daemon is not there");
    fclose(file);
    return pid;
}

long harness_status(pid_t pid, const char *key)
{
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = strtol(line + strlen(key) + 1, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

static bool is_in(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* One more generation of descendants; returns the new count. */
static size_t add_children(pid_t pids[HARNESS_PROCESSES], size_t count)
{
    DIR *directory = opendir("/proc");
    cr_assert(directory);
    for (struct dirent *entry; (entry = readdir(directory)) && count < HARNESS_PROCESSES;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && !is_in(pid, pids, count) && is_in((pid_t)harness_status(pid, "PPid"), pids, count))
            pids[count++] = pid;
    }
    closedir(directory);
    return count;
}

size_t harness_processes(pid_t daemon, pid_t pids[HARNESS_PROCESSES])
{
    size_t count = 1, before = 0;
    pids[0] = daemon;
    while (count != before) {
        before = count;
        count = add_children(pids, count);
    }
    return count;
}

static bool is_named(pid_t pid, const char *name)
{
    char path[64], actual[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "r");
    bool same = file && fscanf(file, "%63s", actual) == 1 && strcmp(actual, name) == 0;
    if (file)
        fclose(file);
    return same;
}

pid_t harness_process(const struct harness *harness, enum harness_process which)
{
    pid_t pids[HARNESS_PROCESSES];
    size_t count = harness_processes(harness->daemon, pids);
    for (size_t i = 0; i < count; i++) {
        pid_t parent = (pid_t)harness_status(pids[i], "PPid");
        bool found = which == HARNESS_LINKER     ? is_named(pids[i], "jitd-linker")
                     : which == HARNESS_TEMPLATE ? is_named(pids[i], "jitd-runner") && parent == harness->daemon
                                                 : is_named(pids[i], "jitd-runner") && is_named(parent, "jitd-runner");
        if (found)
            return pids[i];
    }
    cr_assert_fail("a process of the session is missing");
    return -1;
}

void harness_expect_gone(const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int waited = 0; kill(pids[i], 0) == 0 && waited < 5000; waited += 10)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        cr_expect(kill(pids[i], 0) == -1 && errno == ESRCH, "process %d is left", (int)pids[i]);
    }
}
