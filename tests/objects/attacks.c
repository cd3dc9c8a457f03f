/*
 * Submitted by tests/integration/test_memory_contract.c: tries to change a byte that the runner may not write.
 *
 * Each attack takes an address and a zone's address and size, and returns 1 if the byte at the address changed or a way
 * to change it was granted, else 0. Being killed for the attempt is the caller's to judge.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static void *page_of(long address)
{
    return (void *)(address & -(long)PAGE);
}

static unsigned char byte_at(long address)
{
    return *(volatile unsigned char *)address;
}

/* Through `alias`, where the page of `address` may be mapped again: whether a store there shows at the address. */
static long changes_through(unsigned char *alias, long address)
{
    unsigned char before = byte_at(address);
    volatile unsigned char *other = alias + address % PAGE;
    *other = before ^ 0xff;
    return byte_at(address) != before;
}

long attack_protect_write(long address, long zone, long bytes)
{
    return mprotect(page_of(address), PAGE, PROT_READ | PROT_WRITE) == 0;
}

long attack_protect_all(long address, long zone, long bytes)
{
    return mprotect(page_of(address), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

long attack_proc_mem(long address, long zone, long bytes)
{
    unsigned char before = byte_at(address), other = before ^ 0xff;
    int memory = open("/proc/self/mem", O_RDWR);
    if (memory >= 0 && pwrite(memory, &other, 1, address) == 1)
        return 1;
    return byte_at(address) != before;
}

/* Every descriptor that the process holds, opened again and mapped. */
long attack_reopen(long address, long zone, long bytes)
{
    for (int i = 0; i < 64; i++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        int fd = open(path, O_RDWR | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (fstat(fd, &status) == 0 && status.st_size == bytes) {
            off_t offset = ((char *)page_of(address) - (char *)zone);
            void *alias = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
            if (alias != MAP_FAILED && changes_through(alias, address))
                return 1;
        }
        close(fd);
    }
    return 0;
}

/* An old size of 0 makes mremap(2) duplicate a shared mapping. */
long attack_remap(long address, long zone, long bytes)
{
    void *alias = mremap(page_of(address), 0, PAGE, MREMAP_MAYMOVE);
    if (alias == MAP_FAILED || mprotect(alias, PAGE, PROT_READ | PROT_WRITE) != 0)
        return 0;
    return changes_through(alias, address);
}

long attack_process_write(long address, long zone, long bytes)
{
    unsigned char before = byte_at(address), other = before ^ 0xff;
    struct iovec from = {&other, 1}, to = {(void *)address, 1};
    if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1)
        return 1;
    return byte_at(address) != before;
}

/* Replaces the program's own view of the page, which harms nobody else. */
long attack_map_over(long address, long zone, long bytes)
{
    void *page = mmap(page_of(address), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (page == MAP_FAILED)
        return 0;
    memset(page, 0xcc, PAGE);
    return 1;
}

long attack_store(long address, long zone, long bytes)
{
    *(volatile unsigned char *)address = 0xcc;
    return 1;
}

long attack_execute(long address, long zone, long bytes)
{
    ((void (*)(void))address)();
    return 1;
}

long attack_new_code(long address, long zone, long bytes)
{
    unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xc3}; /* mov $1, %eax; ret */
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 0;
    memcpy(page, code, sizeof code);
    return ((int (*)(void))page)();
}

long peek(long address)
{
    return *(volatile long *)address;
}

static char heap_like[64];

long address_of_heap(void)
{
    static char *block;
    extern void *malloc(size_t);
    if (block == NULL)
        block = malloc(64);
    return (long)(block != NULL ? block : heap_like);
}
