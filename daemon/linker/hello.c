/*
 * From the controller's first message to Welcome: the session's start-up data goes into the channel for the template,
 * the wish for a template goes to the supervisor as numbers only, and when the template has said where it put the arena
 * the linker proper can be opened.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "daemon/linker/cpu.h"
#include "daemon/linker/session.h"

#define LOG_TAG "hello"

void hello_refused(struct session *session, const struct error *error)
{
    session_fail(session, session->hello_request, error);
    session_end(session, error);
}

/* Which of the daemon's libraries is meant: by its whole path, or by its file name. */
static int find_library(const struct session *session, const ProtobufCBinaryData *name, uint32_t *index,
                        struct error *error)
{
    char shown[256];

    for (uint32_t i = 0; i < session->configuration->library_count; i++) {
        const char *path = session->configuration->libraries[i], *slash = strrchr(path, '/');
        const char *file = slash ? slash + 1 : path;

        *index = i;
        if ((strlen(path) == name->len && memcmp(path, name->data, name->len) == 0) ||
            (strlen(file) == name->len && memcmp(file, name->data, name->len) == 0))
            return 0;
    }
    return error_set(error, ERROR_NOT_FOUND,
                     "library '%s' is not among those that the daemon allows; start jitd with --library PATH",
                     log_escape(shown, sizeof shown, name->data, name->len));
}

static int add_string(struct channel_startup *startup, const ProtobufCBinaryData *string, struct error *error)
{
    if (startup->used >= LIMIT_STARTUP_BYTES || string->len >= LIMIT_STARTUP_BYTES - startup->used)
        return error_set(error, ERROR_LIMIT, "arguments and environment take more than %llu bytes",
                         LIMIT_STARTUP_BYTES);
    if (string->len > 0) {
        if (memchr(string->data, '\0', string->len))
            return error_set(error, ERROR_INVALID, "an argument, environment string or directory contains a NUL byte");
        memcpy(startup->bytes + startup->used, string->data, string->len);
        startup->used += (uint32_t)string->len;
    }
    startup->bytes[startup->used++] = '\0';
    return 0;
}

static int write_startup(struct channel_startup *startup, const Jitd__Proto__Hello *hello, uint32_t patience_ms,
                         struct error *error)
{
    int code = 0;

    if (hello->n_arguments > LIMIT_STARTUP_STRINGS || hello->n_environment > LIMIT_STARTUP_STRINGS)
        return error_set(error, ERROR_LIMIT, "more than %d arguments or environment strings", LIMIT_STARTUP_STRINGS);
    startup->profile = hello->profile;
    startup->patience_ms = patience_ms;
    startup->argument_count = (uint32_t)hello->n_arguments;
    startup->environment_count = (uint32_t)hello->n_environment;
    startup->used = 0;
    for (size_t i = 0; i < hello->n_arguments && !code; i++)
        code = add_string(startup, &hello->arguments[i], error);
    for (size_t i = 0; i < hello->n_environment && !code; i++)
        code = add_string(startup, &hello->environment[i], error);
    return code ? code : add_string(startup, &hello->working_directory, error);
}

static int plan_zones(struct session *session, const Jitd__Proto__ZoneSizes *wish, struct control_start *start,
                      struct error *error)
{
    static const Jitd__Proto__ZoneSizes none = JITD__PROTO__ZONE_SIZES__INIT;
    const Jitd__Proto__ZoneSizes *from = wish ? wish : &none;
    const uint64_t asked[ZONE_COUNT] = {from->code, from->slots, from->constants, from->data, from->zeros};
    int code = zones_choose(asked, session->configuration->arena_bytes, &start->zones, &start->least_zeros, error);

    session->zones = start->zones;
    return code;
}

static int plan_start(struct session *session, const struct frame *frame, const Jitd__Proto__Hello *hello,
                      struct control_start *start, struct error *error)
{
    int code = 0;

    if (hello->placement != JITD__PROTO__PLACEMENT__NEAR)
        return error_set(error, ERROR_UNSUPPORTED,
                         "the low placement is not supported yet: compile with -fPIC or -fPIE and use near");
    if (frame->header.descriptors != (hello->streams ? 3u : 0u))
        return error_set(error, ERROR_PROTOCOL, "Hello brings %u descriptors where %u are expected",
                         frame->header.descriptors, hello->streams ? 3u : 0u);
    if (hello->n_libraries > LIMIT_LIBRARIES)
        return error_set(error, ERROR_LIMIT, "more than %d libraries", LIMIT_LIBRARIES);
    *start = (struct control_start){.kind = CONTROL_START,
                                    .placement = hello->placement,
                                    .profile = hello->profile,
                                    .streams = hello->streams != 0,
                                    .library_count = (uint32_t)hello->n_libraries,
                                    .argument_count = (uint32_t)hello->n_arguments,
                                    .environment_count = (uint32_t)hello->n_environment};
    for (size_t i = 0; i < hello->n_libraries && !code; i++)
        code = find_library(session, &hello->libraries[i], &start->libraries[i], error);
    if (hello->limits) {
        start->address_space_bytes = hello->limits->address_space_bytes;
        start->cpu_seconds = hello->limits->cpu_seconds;
        start->open_files = hello->limits->open_files;
    }
    return code ? code : plan_zones(session, hello->zones, start, error);
}

void hello_request(struct session *session, struct frame *frame, const Jitd__Proto__Hello *hello)
{
    struct control_start start;
    struct error error;

    session->hello_request = frame->header.request;
    session->lazy_deadline_ms = hello->lazy_deadline_ms ? hello->lazy_deadline_ms : LIMIT_LAZY_DEADLINE_MS;
    session->one_life = hello->one_life;
    int code = plan_start(session, frame, hello, &start, &error);
    if (!code)
        code = write_startup(runner_startup(session->runner), hello, session->lazy_deadline_ms, &error);
    if (!code && descriptor_send(FD_CONTROL, &start, sizeof start, frame->fds, frame->header.descriptors) !=
                     (ssize_t)sizeof start)
        code = error_system(&error, "asking the supervisor for a runner");
    if (code) {
        hello_refused(session, &error);
        return;
    }
    session->state = SESSION_STARTING;
}

void hello_control_answer(struct session *session, const struct control_answer *answer)
{
    struct error error;

    if (session->state != SESSION_STARTING || answer->kind == CONTROL_STARTED)
        return;
    error_set(&error, answer->error, "the runner could not be started: %s%s%s", error_code_text(answer->error),
              answer->os ? ": " : "", answer->os ? strerror(answer->os) : "");
    hello_refused(session, &error);
}

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static void welcome(struct session *session)
{
    Jitd__Proto__Welcome message = JITD__PROTO__WELCOME__INIT;
    Jitd__Proto__ZoneSizes zones = JITD__PROTO__ZONE_SIZES__INIT;
    ProtobufCBinaryData features[CPU_FEATURES_MAX];
    Jitd__Proto__Layer layers[32];
    const char *names[CPU_FEATURES_MAX];
    char libc[64];

    snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
    message.triple = text(session->linker.arch->triple);
    message.n_cpu_features = cpu_features(names);
    for (size_t i = 0; i < message.n_cpu_features; i++)
        features[i] = text(names[i]);
    message.cpu_features = features;
    message.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    message.arena_base = arena_base(session->arena);
    message.arena_bytes = zones_total(&session->zones);
    zones.code = session->zones.bytes[ZONE_X];
    zones.slots = session->zones.bytes[ZONE_S];
    zones.constants = session->zones.bytes[ZONE_R];
    zones.data = session->zones.bytes[ZONE_D];
    zones.zeros = session->zones.bytes[ZONE_Z];
    message.zones = &zones;
    message.libc = text(libc);
    message.daemon = text("jitd " JITD_VERSION_TEXT);
    for (uint32_t layer = 1; layer < 32; layer++)
        if (session->layers & 1u << layer)
            layers[message.n_layers++] = (Jitd__Proto__Layer)layer;
    message.layers = layers;
    message.waiting_bytes = session->linker.waiting.limit;
    session_send(session, MESSAGE_WELCOME, session->hello_request, &message.base);
}

void hello_template_ready(struct session *session, const struct lifecycle *message)
{
    struct process_symbols *symbols = NULL;
    struct error error;

    if (session->state != SESSION_STARTING)
        return;
    session->zones.bytes[ZONE_Z] = message->zero_bytes;
    arena_place(session->arena, message->arena_base, &session->zones);
    int code = process_symbols_open(FD_SYMBOLS, message->symbol_bytes, &symbols, &error);
    if (!code)
        code = link_open(&session->linker, &arch_x86_64, session->arena, symbols, &event_hooks, session, &error);
    if (code) {
        hello_refused(session, &error);
        return;
    }
    link_set_lazy_entry(&session->linker, message->lazy_entry);
    session->linker.waiting.limit = session->configuration->waiting_bytes;
    session->linker.workers = session->workers;
    session->layers |= message->layers;
    session->state = SESSION_OPEN;
    log_info("arena of %llu MiB at 0x%llx", (unsigned long long)zones_total(&session->zones) >> 20,
             (unsigned long long)message->arena_base);
    welcome(session);
    observer_begin(session);
}
