/*
 * Temporary directories: mkdtemp, and nftw to remove what tests have put there.
 */
#include "tests/lib/temp.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

struct temp temp_make(void)
{
    struct temp temp;
    const char *parent = getenv("TMPDIR");
    snprintf(temp.path, sizeof temp.path, "%s/jitd-test-XXXXXX", parent ? parent : "/tmp");
    cr_assert(mkdtemp(temp.path), "no temporary directory %s", temp.path);
    return temp;
}

const char *temp_path(const struct temp *temp, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", temp->path, name);
    return out;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

void temp_remove(struct temp *temp)
{
    if (temp->path[0])
        nftw(temp->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    temp->path[0] = '\0';
}
