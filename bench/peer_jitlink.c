/*
 * main for the tree that llvm-jitlink links, so compiled alone and run by its executor: checks what the root returns
 * and prints the memory, private and shared, of the executor (runner) and of llvm-jitlink (linker), its parent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int s_0(void);

static void print_memory(const char *name, int process)
{
    char path[64], line[128];
    unsigned long kilobytes, sum = 0;
    snprintf(path, sizeof path, "/proc/%d/status", process);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %lu", &kilobytes) == 1 || sscanf(line, "RssShmem: %lu", &kilobytes) == 1)
            sum += kilobytes;
    if (file)
        fclose(file);
    printf("memory %s %lu\n", name, sum * 1024);
}

int main(int argc, char **argv)
{
    print_memory("runner", getpid());
    print_memory("linker", getppid());
    fflush(stdout);
    return argc != 1 || s_0() != atoi(argv[0]); /* it gives no name of the program */
}
