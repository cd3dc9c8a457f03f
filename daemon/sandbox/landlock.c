/*
 * Landlock by its three system calls. The kernel says which version of the interface it has, and everything that this
 * version can handle is handled: a right that is not granted below is then denied. The constants are spelt out since
 * installed kernel headers are often older than the kernel.
 */
#include "daemon/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"

struct landlock_ruleset {
    uint64_t files;
    uint64_t tcp;
    uint64_t scopes;
};

struct landlock_path {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

#define QUERY_VERSION 1u /* a flag of landlock_create_ruleset */
#define RULE_PATH     1  /* landlock_add_rule: a file hierarchy */

#define EXECUTE      (1ull << 0)
#define WRITE_FILE   (1ull << 1)
#define READ_FILE    (1ull << 2)
#define READ_DIR     (1ull << 3)
#define MAKE_CHAR    (1ull << 6)
#define MAKE_BLOCK   (1ull << 11)
#define TRUNCATE     (1ull << 14)
#define IOCTL_DEVICE (1ull << 15)

#define READING     (READ_FILE | READ_DIR)
#define OF_A_FILE   (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE)
#define NOT_WRITING (EXECUTE | MAKE_CHAR | MAKE_BLOCK | IOCTL_DEVICE)

/* What each version handles, cumulatively; versions above the last one add nothing that is used here. */
static const struct landlock_ruleset versions[] = {
    {0, 0, 0},          /* there is no version 0 */
    {0x1fff, 0, 0},     /* files */
    {0x3fff, 0, 0},     /* linking and renaming across directories */
    {0x7fff, 0, 0},     /* truncating */
    {0x7fff, 0x3, 0},   /* binding and connecting TCP */
    {0xffff, 0x3, 0},   /* ioctl of devices */
    {0xffff, 0x3, 0x3}, /* abstract sockets, signals */
};

/* Bytes of struct landlock_ruleset that a version knows; a longer one is refused even where the rest is zero on
   kernels before the field came. */
static size_t ruleset_bytes(size_t version)
{
    return version < 4 ? sizeof(uint64_t) : version < 6 ? 2 * sizeof(uint64_t) : sizeof(struct landlock_ruleset);
}

static int grant(int ruleset, const char *path, uint64_t rights, struct error *error)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return 0;
    if (fd < 0)
        return error_system(error, "open '%s' for Landlock", path);
    struct stat status;
    bool is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    struct landlock_path rule = {.allowed = is_directory ? rights : rights & OF_A_FILE, .parent = fd};
    int code = 0;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0) != 0)
        code = error_system(error, "grant '%s' to Landlock", path);
    descriptor_close(&fd);
    return code;
}

static int grant_all(int ruleset, const char *const *paths, size_t count, uint64_t rights, struct error *error)
{
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++)
        code = grant(ruleset, paths[i], rights, error);
    return code;
}

static int enforce(int ruleset, struct error *error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_system(error, "set no_new_privs");
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return error_system(error, "enforce Landlock");
    return 0;
}

int landlock_restrict(const char *const *readable, size_t count, const char *const *writable, size_t writable_count,
                      struct error *error)
{
    long answer = syscall(SYS_landlock_create_ruleset, NULL, 0, QUERY_VERSION);
    if (answer < 1)
        return error_set(error, ERROR_UNSUPPORTED, "the kernel has no Landlock, or it is switched off");
    size_t version = min_u64((uint64_t)answer, ARRAY_LENGTH(versions) - 1);
    const struct landlock_ruleset *handled = &versions[version];
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, handled, ruleset_bytes(version), 0);
    if (ruleset < 0)
        return error_system(error, "create a Landlock ruleset of version %zu", version);
    int code = grant_all(ruleset, readable, count, READING, error);
    if (code == 0)
        code = grant_all(ruleset, writable, writable_count, handled->files & ~NOT_WRITING, error);
    if (code == 0)
        code = enforce(ruleset, error);
    descriptor_close(&ruleset);
    return code;
}
