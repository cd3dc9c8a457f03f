/*
 * A list of arrays: at exit the array added last goes first, and each is run from its end (System V gABI,
 * DT_FINI_ARRAY).
 */
#include "daemon/runner/finalisers.h"

#include <pthread.h>
#include <stdlib.h>

#include "daemon/runner/actions.h"

struct finalisers {
    finaliser_function *const *array;
    size_t count;
    struct finalisers *earlier; /* owned */
};

static struct finalisers *finalisers_last; /* guarded by the lock */
static pthread_mutex_t finalisers_lock = PTHREAD_MUTEX_INITIALIZER;

static struct finalisers *finalisers_take(void)
{
    pthread_mutex_lock(&finalisers_lock);
    struct finalisers *taken = finalisers_last;
    if (taken != NULL)
        finalisers_last = taken->earlier;
    pthread_mutex_unlock(&finalisers_lock);
    return taken;
}

static void finalisers_run_array(const struct finalisers *taken)
{
    for (size_t i = taken->count; i > 0; i--)
        taken->array[i - 1]();
}

void finalisers_run(void)
{
    for (struct finalisers *taken; (taken = finalisers_take()) != NULL; free(taken))
        finalisers_run_array(taken);
    actions_undo_all();
}

void finalisers_run_now(finaliser_function *const *array)
{
    pthread_mutex_lock(&finalisers_lock);
    struct finalisers **link = &finalisers_last;
    while (*link != NULL && (*link)->array != array)
        link = &(*link)->earlier;
    struct finalisers *taken = *link;
    if (taken != NULL)
        *link = taken->earlier;
    pthread_mutex_unlock(&finalisers_lock);
    if (taken != NULL)
        finalisers_run_array(taken);
    free(taken);
}

int finalisers_add(finaliser_function *const *array, size_t count)
{
    struct finalisers *added = malloc(sizeof *added);
    if (added == NULL)
        return ERROR_NO_MEMORY;
    pthread_mutex_lock(&finalisers_lock);
    *added = (struct finalisers){array, count, finalisers_last};
    finalisers_last = added;
    pthread_mutex_unlock(&finalisers_lock);
    return 0;
}
