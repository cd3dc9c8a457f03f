/*
 * Reads arguments, environment and working directory from the channel, once, and puts the first two where ld.so and
 * libc look for them.
 */
#include "daemon/runner/startup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/message.h"

/* Takes `count` strings from [*at, end) into `list`, which has room for them and a NULL. False where they are not
   there. */
static bool strings_take(char **list, uint32_t count, char **at, const char *end)
{
    for (uint32_t i = 0; i < count; i++) {
        char *terminator = memchr(*at, '\0', (size_t)(end - *at));
        if (terminator == NULL)
            return false;
        list[i] = *at;
        *at = terminator + 1;
    }
    list[count] = NULL;
    return true;
}

static size_t strings_count(char *const *list)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    return count;
}

int startup_read(struct startup *startup, const struct channel_startup *source, struct error *error)
{
    uint32_t arguments = source->argument_count, environment = source->environment_count, used = source->used;
    startup->profile = source->profile;
    startup->patience_ms = source->patience_ms;
    if (startup->profile > JITD__PROTO__PROFILE__TRUSTED || used > LIMIT_STARTUP_BYTES ||
        arguments > LIMIT_STARTUP_STRINGS || environment > LIMIT_STARTUP_STRINGS)
        return error_set(error, ERROR_SETUP, "start-up block out of bounds");
    if (arguments > strings_count(startup->place.arguments) || environment > strings_count(startup->place.environment))
        return error_set(error, ERROR_SETUP, "more arguments or environment than the supervisor was told of");

    char *bytes = malloc(used + 1);
    char **list = calloc(arguments + environment + 2, sizeof *list);
    char *directory[2];
    if (bytes == NULL || list == NULL) {
        free(bytes);
        free(list);
        return error_set(error, ERROR_NO_MEMORY, "no memory for the start-up block");
    }
    memcpy(bytes, source->bytes, used);
    char *at = bytes, *end = bytes + used;
    startup->argument_count = (int)arguments;
    startup->arguments = list;
    startup->environment = list + arguments + 1;
    if (!strings_take(startup->arguments, arguments, &at, end) ||
        !strings_take(startup->environment, environment, &at, end) || !strings_take(directory, 1, &at, end)) {
        free(bytes);
        free(list);
        return error_set(error, ERROR_SETUP, "start-up block ends too early");
    }
    startup->working_directory = directory[0];
    return 0;
}

void startup_put(const struct startup *startup)
{
    const struct startup_place *place = &startup->place;
    if (startup->argument_count > 0)
        memcpy(place->arguments, startup->arguments, (size_t)(startup->argument_count + 1) * sizeof(char *));
    environ = place->environment; /* which libc's constructor does next, if nothing has had it run before */
    memcpy(place->environment, startup->environment, (strings_count(startup->environment) + 1) * sizeof(char *));
}
