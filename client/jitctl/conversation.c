/*
 * The session's loop: the connection and the interruption descriptor, nothing else.
 */
#include "client/jitctl/conversation.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/interruption.h"
#include "client/jitctl/layers.h"
#include "proto/zones.h"

void conversation_finish(struct conversation *conversation, int status)
{
    if (conversation->finished)
        return;
    conversation->finished = true;
    conversation->status = status;
}

static void conversation_describe_reference(struct conversation *conversation, const struct jitd_reference *reference,
                                            FILE *out)
{
    const struct place_key key = {.unit = reference->unit_id,
                                  .input = reference->unit_place,
                                  .section = reference->section_index,
                                  .offset = reference->offset};
    const struct line_place *found;
    if (places_find(&conversation->places, &key, &found) && *found->file)
        fprintf(out, "%s:%d in %s", found->file, found->line, reference->unit);
    else
        fprintf(out, "%s %s+0x%llx", reference->unit, reference->section, (unsigned long long)reference->offset);
}

/* What the daemon adds to "undefined symbol 'NAME'": why nothing has that name; or nothing. */
static const char *conversation_reason(const struct jitd_error *error)
{
    static const char words[] = "undefined symbol '";
    const char *name = strstr(error->text, words);
    size_t length = strlen(error->symbol);
    if (!name || strncmp(name + sizeof words - 1, error->symbol, length) != 0)
        return "";
    const char *end = name + sizeof words - 1 + length;
    return *end == '\'' ? end + 1 : "";
}

/* Of a missing symbol, who refers to it follows, with file and line. */
static void conversation_describe_error(struct conversation *conversation, const struct jitd_error *error, FILE *out)
{
    const char *demangled = places_demangle(&conversation->places, error->symbol);
    if (error->code == JITD_ERROR_SYMBOL_MISSING && *error->symbol && error->reference_count) {
        fprintf(out, "undefined symbol '%s'", error->symbol);
        if (demangled)
            fprintf(out, " [%s]", demangled);
        fputs(conversation_reason(error), out);
        return;
    }
    if (*error->unit && !strstr(error->text, error->unit))
        fprintf(out, "%s: ", error->unit);
    fputs(*error->text ? error->text : jitd_error_text(error->code), out);
}

static void conversation_complain(struct conversation *conversation, const struct jitd_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) {
        complain("%s", error->text);
        return;
    }
    conversation_describe_error(conversation, error, out);
    for (size_t i = 0; i < error->reference_count; i++) {
        fputs(i ? "; " : ", needed by ", out);
        conversation_describe_reference(conversation, &error->references[i], out);
    }
    if (error->references_omitted)
        fprintf(out, "; and %zu more", error->references_omitted);
    fclose(out);
    complain("%s", text);
    free(text);
}

void conversation_fail(struct conversation *conversation, const struct jitd_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        conversation_complain(conversation, &errors->list[i]);
    if (errors->omitted)
        complain("and %zu more errors", errors->omitted);
    if (errors->count && errors->list[0].code == JITD_ERROR_SYMBOL_MISSING)
        inputs_complain_unsearched(conversation->inputs);
    conversation_finish(conversation, EXIT_JITCTL);
}

static int conversation_last_error(struct conversation *conversation, const char *what)
{
    const struct jitd_error *error = conversation->session ? jitd_last_error(conversation->session) : NULL;
    return complain("%s: %s", what, error ? error->text : "out of memory");
}

static void conversation_on_unit(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    struct conversation *conversation = data;
    (void)session;
    if (event->state == JITD_UNIT_FAILED && !conversation->finished) {
        conversation_fail(conversation, &event->errors);
        return;
    }
    if (event->state == JITD_UNIT_READY && conversation->units_waiting)
        conversation->units_waiting--;
}

static void conversation_on_end(struct jitd_session *session, const struct jitd_end *end, void *data)
{
    struct conversation *conversation = data;
    (void)session;
    if (conversation->finished)
        return;
    if (conversation->ended)
        conversation->ended(conversation, end);
    else
        conversation_finish(conversation, complain("the code ended the runner while it was being initialised"));
}

static void conversation_on_disconnect(struct jitd_session *session, const struct jitd_error *why, void *data)
{
    struct conversation *conversation = data;
    (void)session;
    /* Ctrl-C reaches the daemon as well as us, and its end is then no news. */
    if (!conversation->finished && !interruption_signal())
        conversation_finish(conversation, complain("the daemon has gone: %s", why->text));
}

static const struct jitd_listener conversation_listener = {
    .unit = conversation_on_unit,
    .runner_ended = conversation_on_end,
    .disconnected = conversation_on_disconnect,
};

static int conversation_start(struct conversation *conversation, const struct options *options,
                              const struct inputs *inputs, struct jitd_options *session)
{
    if (options->connect)
        return jitd_connect(options->connect, session, &conversation_listener, conversation, &conversation->session);

    /* A daemon of our own allows what our command line says. */
    const char **arguments = allocate_zeroed((2 * inputs->library_count + 3) * sizeof *arguments);
    char *arena = allocate_format("%llu", ARENA_REACH);
    for (size_t i = 0; i < inputs->library_count; i++) {
        arguments[2 * i] = "--library";
        arguments[2 * i + 1] = inputs->libraries[i];
    }
    if (options->has_arena) {
        arguments[2 * inputs->library_count] = "--arena-max";
        arguments[2 * inputs->library_count + 1] = arena;
    }
    session->daemon_arguments = arguments;
    int code = jitd_spawn(session, &conversation_listener, conversation, &conversation->session);
    free(arguments);
    free(arena);
    return code;
}

int conversation_open(struct conversation *conversation, const struct options *options, const struct inputs *inputs,
                      struct jitd_options *session)
{
    conversation->inputs = inputs;
    places_init(&conversation->places, inputs);
    conversation->interruption = interruption_open();
    if (conversation->interruption < 0)
        return complain("eventfd: %s", strerror(errno));
    session->profile = conversation->profile = options->profile;
    memcpy(session->zone_bytes, options->zone_bytes, sizeof session->zone_bytes);
    session->libraries = (const char *const *)inputs->libraries;
    session->working_directory = conversation->places.directory;
    if (conversation_start(conversation, options, inputs, session) == JITD_OK)
        return 0;
    return conversation_last_error(conversation, options->connect ? options->connect : "jitd cannot be started");
}

static void conversation_on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                                      const struct jitd_errors *errors, void *data)
{
    struct conversation *conversation = data;
    (void)session;
    if (errors && interruption_signal())
        return;
    if (errors) {
        conversation_fail(conversation, errors);
        return;
    }
    places_set_units(&conversation->places, units, count);
    conversation->submitted = true;
    conversation->units_waiting = count;
}

static void conversation_see_welcome(struct conversation *conversation)
{
    const struct jitd_welcome *welcome = jitd_welcome(conversation->session);
    if (conversation->welcomed || !welcome)
        return;
    conversation->welcomed = true;
    layers_complain(conversation->profile, welcome->layers);
}

/* One turn of the loop. */
static void conversation_turn(struct conversation *conversation)
{
    struct pollfd polled[] = {
        {.fd = jitd_fd(conversation->session), .events = jitd_events(conversation->session)},
        {.fd = conversation->interruption, .events = POLLIN},
    };
    if (polled[0].fd < 0) {
        conversation_finish(conversation, EXIT_JITCTL);
        return;
    }
    if (poll(polled, 2, -1) < 0 && errno != EINTR) {
        conversation_finish(conversation, complain("poll: %s", strerror(errno)));
        return;
    }
    if (!interruption_signal() && polled[0].revents)
        jitd_dispatch(conversation->session);
    conversation_see_welcome(conversation);
    if (interruption_signal())
        conversation_finish(conversation, 128 + interruption_signal());
}

static void conversation_turn_until(struct conversation *conversation, bool (*done)(const struct conversation *))
{
    jitd_flush(conversation->session);
    while (!conversation->finished && !done(conversation))
        conversation_turn(conversation);
}

static bool conversation_is_linked(const struct conversation *conversation)
{
    return conversation->submitted && conversation->units_waiting == 0;
}

static bool conversation_is_finished(const struct conversation *conversation)
{
    return conversation->finished;
}

static int conversation_refuse(const struct input_object *object, int code)
{
    if (code == JITD_ERROR_LIMIT && object->length > LIMIT_OBJECT_BYTES)
        return complain("%s: an object may have %llu MiB, and this has %zu bytes, debugging sections among them",
                        object->name, LIMIT_OBJECT_BYTES >> 20, object->length);
    return complain("%s: %s", object->name, jitd_error_text(code));
}

int conversation_submit(struct conversation *conversation, const struct inputs *inputs)
{
    /* A program whose main is a library's. */
    if (inputs->object_count == 0)
        return 0;
    struct jitd_batch *batch = jitd_batch_new(JITD_BATCH_CLOSED);
    if (!batch)
        return complain("out of memory");
    for (size_t i = 0; i < inputs->object_count; i++) {
        const struct input_object *object = &inputs->objects[i];
        int code = jitd_batch_add(batch, object->name, object->bytes, object->length);
        if (code) {
            jitd_batch_free(batch);
            return conversation_refuse(object, code);
        }
    }
    if (jitd_submit(conversation->session, batch, conversation_on_submitted, conversation, NULL))
        return conversation_last_error(conversation, "the objects cannot be submitted");
    conversation_turn_until(conversation, conversation_is_linked);
    return conversation->finished ? conversation->status : 0;
}

int conversation_wait(struct conversation *conversation)
{
    conversation_turn_until(conversation, conversation_is_finished);
    return conversation->status;
}

void conversation_close(struct conversation *conversation)
{
    jitd_close(conversation->session);
    conversation->session = NULL;
    places_fini(&conversation->places);
}
