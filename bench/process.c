/*
 * Reading /proc (process.h). A process is found by its name, as comm shows it, and by how far below
 * this process it is.
 */
#include "bench/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"

/* NULL where the process has just ended. */
static FILE *process_open(pid_t process, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)process, file);
    return fopen(path, "re");
}

/* The parent, 0 where the process has just ended. */
static pid_t process_parent(pid_t process, char name[static 17])
{
    int parent = 0;
    FILE *file = process_open(process, "stat");
    if (!file)
        return 0;
    /* proc_pid_stat(5): pid, comm in brackets, state, parent. */
    int fields = fscanf(file, "%*d (%16[^)]) %*c %d", name, &parent);
    fclose(file);
    return fields == 2 ? parent : 0;
}

static bool process_matches(pid_t process, const char *name, int generations)
{
    char found[17], ancestor_name[17];
    pid_t ancestor = process_parent(process, found);
    for (int i = 1; i < generations && ancestor; i++)
        ancestor = process_parent(ancestor, ancestor_name);
    return ancestor == getpid() && strcmp(found, name) == 0;
}

static pid_t process_find(const char *name, int generations)
{
    pid_t found = 0;
    DIR *all = opendir("/proc");
    if (!all)
        measure_die("cannot read /proc");
    for (const struct dirent *entry; !found && (entry = readdir(all));) {
        pid_t process = atoi(entry->d_name);
        if (process > 0 && process_matches(process, name, generations))
            found = process;
    }
    closedir(all);
    if (!found)
        measure_die("there is no process %s", name);
    return found;
}

/* Below this process are the daemon, its linker and template, and the template's child. */
void process_find_session(struct session_processes *out)
{
    out->linker = process_find("jitd-linker", 2);
    out->runner = process_find("jitd-runner", 3);
}

struct process_memory process_measure(pid_t process)
{
    struct process_memory memory = {0};
    char line[128];
    size_t kilobytes;
    FILE *file = process_open(process, "status");
    if (!file)
        measure_die("process %d is gone", (int)process);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "RssAnon: %zu", &kilobytes) == 1)
            memory.anonymous = kilobytes * 1024;
        if (sscanf(line, "RssShmem: %zu", &kilobytes) == 1)
            memory.shared = kilobytes * 1024;
    }
    fclose(file);
    return memory;
}
