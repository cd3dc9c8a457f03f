/*
 * A list of arrays with how many of their calls have gone well, the latest first. What is undone is taken off it before
 * any call is made, so that nothing is undone twice: a call may end the process and so come back here.
 *
 * An action may wait for a function that another publication brings (lazy.c), so that arrays of several publications
 * may stand mixed in the list; each is found by its own number.
 */
#include "daemon/runner/actions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/error.h"

typedef int action_function(const void *argument, size_t bytes);

struct published {
    const struct channel_action *array;
    _Atomic size_t done; /* of its actions, counted from the first: another thread may end the process meanwhile */
    uint64_t publication;
    struct published *earlier; /* owned */
};

static struct published *published_last; /* guarded by the lock */
static pthread_mutex_t published_lock = PTHREAD_MUTEX_INITIALIZER;

typedef bool published_filter(const struct published *published, uint64_t wanted);

static bool is_any(const struct published *published, uint64_t wanted)
{
    (void)published;
    (void)wanted;
    return true;
}

static bool is_array(const struct published *published, uint64_t array)
{
    return (uintptr_t)published->array == array;
}

static bool is_of_publication(const struct published *published, uint64_t publication)
{
    return published->publication == publication;
}

/* The latest that the filter lets through, off the list and the caller's; or NULL. */
static struct published *published_take(published_filter *filter, uint64_t wanted)
{
    pthread_mutex_lock(&published_lock);
    struct published **link = &published_last;
    while (*link != NULL && !filter(*link, wanted))
        link = &(*link)->earlier;
    struct published *taken = *link;
    if (taken != NULL)
        *link = taken->earlier;
    pthread_mutex_unlock(&published_lock);
    return taken;
}

/* NULL: out of memory. */
static struct published *published_add(const struct channel_action *array, uint64_t publication)
{
    struct published *added = calloc(1, sizeof *added);
    if (added == NULL)
        return NULL;
    added->array = array;
    added->publication = publication;
    pthread_mutex_lock(&published_lock);
    added->earlier = published_last;
    published_last = added;
    pthread_mutex_unlock(&published_lock);
    return added;
}

static int action_call(const struct channel_action_call *call)
{
    if (call->function == 0)
        return 0;
    action_function *function = (action_function *)(uintptr_t)call->function;
    return function((const void *)(uintptr_t)call->argument, call->bytes);
}

static void published_undo(const struct published *taken, struct channel_record *reply)
{
    for (size_t i = taken->done; i > 0; i--) {
        int value = action_call(&taken->array[i - 1].remove);
        if (value != 0 && reply->c++ == 0) {
            reply->a = i;
            reply->b = (uint32_t)value;
        }
    }
}

/* How many of the removing calls returned other than 0. */
static uint64_t publication_undo(uint64_t publication)
{
    struct channel_record undone = {0};
    for (struct published *taken; (taken = published_take(is_of_publication, publication)) != NULL; free(taken))
        published_undo(taken, &undone);
    return undone.c;
}

/* Makes the calls until one fails, and gives what that returned, or 0. */
static int publish_each(struct published *added, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int value = action_call(&added->array[i].publish);
        if (value != 0)
            return value;
        added->done = i + 1;
    }
    return 0;
}

int actions_publish(const struct channel_action *array, size_t count, uint64_t publication,
                    struct channel_record *reply)
{
    struct published *added = published_add(array, publication);
    int value = added == NULL ? 0 : publish_each(added, count);
    if (added != NULL && value == 0)
        return 0;
    reply->a = added == NULL ? 0 : added->done + 1;
    reply->b = (uint32_t)value;
    reply->c = publication == 0 ? 0 : publication_undo(publication);
    return added == NULL ? ERROR_NO_MEMORY : 0;
}

void actions_undo(const struct channel_action *array, struct channel_record *reply)
{
    struct published *taken = published_take(is_array, (uintptr_t)array);
    if (taken != NULL)
        published_undo(taken, reply);
    free(taken);
}

/* A thread may still be publishing: what it writes to stays. */
void actions_undo_all(void)
{
    struct channel_record untold = {0};
    for (struct published *taken; (taken = published_take(is_any, 0)) != NULL;)
        published_undo(taken, &untold);
}
