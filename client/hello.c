/*
 * Building Hello (hello.h). The caps of proto/limits.h are checked here too, where the error can name the option; the
 * daemon would only refuse the session.
 */
#include "client/hello.h"

#include <stdlib.h>
#include <string.h>

#include "client/convert.h"
#include "client/session.h"
#include "proto/limits.h"

/* The lists of one Hello in one array, and what they add up to. */
struct hello_strings {
    ProtobufCBinaryData *entries; /* owned */
    size_t count;
    size_t bytes;
};

static size_t hello_count(const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

/* Appends the list; *first is its first entry. Room for it has been made. */
static size_t hello_append(struct hello_strings *strings, const char *const *list, ProtobufCBinaryData **first)
{
    size_t count = hello_count(list);
    *first = strings->entries + strings->count;
    for (size_t i = 0; i < count; i++) {
        strings->entries[strings->count] = convert_borrow(list[i]);
        strings->bytes += strings->entries[strings->count++].len;
    }
    return count;
}

static int hello_fill(const struct jitd_options *options, struct hello_strings *strings, Jitd__Proto__Hello *hello,
                      struct error *error)
{
    static const char *const nameless[] = {"", NULL};
    const char *const *arguments = options->arguments ? options->arguments : nameless;
    size_t count = hello_count(options->libraries) + hello_count(arguments) + hello_count(options->environment);
    if (count > LIMIT_STARTUP_STRINGS)
        return error_set(error, ERROR_LIMIT, "%zu libraries, arguments and environment strings: at most %d", count,
                         LIMIT_STARTUP_STRINGS);
    strings->entries = calloc(count, sizeof *strings->entries);
    if (!strings->entries)
        return error_set(error, ERROR_NO_MEMORY, "out of memory for the session's options");
    hello->n_libraries = hello_append(strings, options->libraries, &hello->libraries);
    hello->n_arguments = hello_append(strings, arguments, &hello->arguments);
    hello->n_environment = hello_append(strings, options->environment, &hello->environment);
    hello->working_directory = convert_borrow(options->working_directory);
    if (hello->n_libraries > LIMIT_LIBRARIES)
        return error_set(error, ERROR_LIMIT, "%zu libraries: at most %d", hello->n_libraries, LIMIT_LIBRARIES);
    if (strings->bytes + hello->working_directory.len > LIMIT_STARTUP_BYTES)
        return error_set(error, ERROR_LIMIT, "arguments and environment of %zu bytes: at most %llu", strings->bytes,
                         LIMIT_STARTUP_BYTES);
    return 0;
}

int hello_send(struct jitd_session *session, const struct jitd_options *options)
{
    Jitd__Proto__Limits limits = JITD__PROTO__LIMITS__INIT;
    limits.address_space_bytes = options->address_space_bytes;
    limits.cpu_seconds = options->cpu_seconds;
    limits.open_files = options->open_files;

    Jitd__Proto__ZoneSizes zones = JITD__PROTO__ZONE_SIZES__INIT;
    zones.code = options->zone_bytes[JITD_ZONE_CODE];
    zones.slots = options->zone_bytes[JITD_ZONE_SLOTS];
    zones.constants = options->zone_bytes[JITD_ZONE_CONSTANTS];
    zones.data = options->zone_bytes[JITD_ZONE_DATA];
    zones.zeros = options->zone_bytes[JITD_ZONE_ZEROS];

    Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    hello.zones = &zones;
    hello.placement = (Jitd__Proto__Placement)options->placement;
    hello.profile = (Jitd__Proto__Profile)options->profile;
    hello.limits = &limits;
    hello.streams = options->streams != NULL;
    hello.lazy_deadline_ms = options->lazy_deadline_ms;
    hello.one_life = options->one_life;

    struct request_attachment attachment = {.fds = options->streams, .fd_count = options->streams ? 3 : 0};
    struct request request = {.kind = REQUEST_HELLO};
    struct hello_strings strings = {0};
    int code = hello_fill(options, &strings, &hello, &session->error);
    if (code == 0)
        code = request_send(session, &request, MESSAGE_HELLO, &hello.base, &attachment, &session->hello);
    free(strings.entries);
    return code;
}
