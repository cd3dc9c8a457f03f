/*
 * Where the compiler meets jitd: each line is a batch of one unit, and what becomes of it is told.
 * `calculator DIRECTORY <FILE` keeps the objects.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jitd.h>

#include "calculator.h"

struct repl {
    struct jitd_session *session;
    jitd_request request;
    const char *directory; /* for objects, or NULL */
    uint64_t number;       /* of the line in work */
    struct line line;
    struct object object;
    bool ready;
};

/* Every request goes this way: its callback runs before this returns. Without the session there is no going on. */
static void await(struct repl *repl, int code)
{
    if (code == JITD_OK)
        code = jitd_wait(repl->session, repl->request, -1);
    if (code == JITD_OK)
        return;
    fprintf(stderr, "calculator: %s\n", repl->session ? jitd_last_error(repl->session)->text : jitd_error_text(code));
    jitd_close(repl->session);
    exit(1);
}

static void tell_errors(const struct jitd_errors *errors)
{
    for (size_t i = 0; errors && i < errors->count; i++)
        if (errors->list[i].code != JITD_ERROR_CANCELLED)
            printf("%s\n", errors->list[i].text);
}

static void done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    (void)session, (void)data;
    tell_errors(errors);
}

/* News may be of any unit: a definition can make one fail that has waited for it. */
static void unit_changed(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    (void)session, (void)data;
    tell_errors(&event->errors);
}

static void submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session, (void)units, (void)count, (void)data;
    tell_errors(errors);
}

/* Names in the object are its own; the manifest says what they mean to others. An expression refers to nothing that
   comes later (CLOSED), a definition may. Boxed functions may be replaced. */
static void submit(struct repl *repl)
{
    const struct line *line = &repl->line;
    const struct object *object = &repl->object;
    struct jitd_manifest_use uses[MOST_CALLS];
    const unsigned flags = line->convention >= BOXED(0) ? JITD_DEFINITION_REDIRECTABLE : 0;
    const struct jitd_manifest_definition definition = {object->names.function, line->name, flags, line->convention};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = uses, .use_count = line->call_count};
    const struct jitd_unit_input input = {
        .name = line->name, .object = object, .bytes = sizeof *object, .manifest = &manifest, .tag = repl->number};
    struct jitd_batch *batch = jitd_batch_new(line->convention ? 0 : JITD_BATCH_CLOSED);

    object_make(&repl->object, line);
    for (uint32_t i = 0; i < line->call_count; i++)
        uses[i] = (struct jitd_manifest_use){
            .local = object->names.calls[i], .global = line->calls[i].name, .convention = line->calls[i].convention};
    int code = batch ? jitd_batch_add_unit(batch, &input) : JITD_ERROR_NO_MEMORY;
    if (code == JITD_OK)
        code = jitd_submit(repl->session, batch, submitted, repl, &repl->request);
    await(repl, code);
}

static void looked_up(struct jitd_session *session, const struct jitd_address *addresses, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session, (void)addresses, (void)count;
    struct repl *repl = data;
    bool waits = errors && errors->list[0].code == JITD_ERROR_TIMEOUT;

    repl->ready = !errors;
    if (waits && strcmp(errors->list[0].symbol, repl->line.name) != 0) /* else the unit was refused, or has failed */
        printf("%s waits for %s\n", repl->line.name, errors->list[0].symbol);
}

/* How it ended is the kernel's word, whose code it was the linker's. */
static void returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                     const struct jitd_errors *errors, void *data)
{
    (void)session;
    const char *name = ((struct repl *)data)->line.name, *last = "";

    if (result)
        printf("%lld\n", (long long)result->integer);
    tell_errors(errors);
    if (end)
        printf("%s: signal %d, %s%s\n", name, end->signal, strsignal(end->signal),
               end->stack_overflow ? ": stack overflow" : "");
    for (size_t i = 0; end && i < end->frame_count && strcmp(last, name) != 0; last = end->frames[i++].unit)
        if (strcmp(last, end->frames[i].unit) != 0) /* not each call of a recursion */
            printf("    in %s\n", end->frames[i].unit);
}

/* Where a call and a function differ in their conventions, jitd goes through the adapter for the two. */
static void adapt(struct repl *repl, bool from_boxed)
{
    compile_adapter(&repl->line, from_boxed);
    submit(repl);
    for (unsigned count = 0; count <= MOST_PARAMETERS; count++)
        await(repl,
              jitd_adapt(repl->session, JITD_LIBRARY_MAIN, repl->line.name, from_boxed ? BOXED(count) : UNBOXED(count),
                         from_boxed ? UNBOXED(count) : BOXED(count), done, NULL, &repl->request));
}

static void keep_object(const struct repl *repl)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s.o", repl->directory, repl->line.name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(&repl->object, sizeof repl->object, 1, file) != 1 || fclose(file) != 0)
        perror(path);
}

/* A unit that can be ready is so when its submission has been answered: the deadline, in milliseconds, is for the
   answer why it is not. An expression goes when it has been called, and uncalled where its value cannot be had now. */
static void run(struct repl *repl)
{
    const char *name = repl->line.name;
    bool expression = !name[0];
    const struct jitd_removal removal = {.tags = &repl->number, .tag_count = 1};

    if (expression)
        snprintf(repl->line.name, NAME_BYTES, "line-%d", (int)repl->number);
    submit(repl);
    if (repl->directory)
        keep_object(repl);
    await(repl, jitd_lookup_ready(repl->session, JITD_LIBRARY_MAIN, &name, 1, 1, looked_up, repl, &repl->request));
    if (expression && repl->ready)
        await(repl, jitd_call(repl->session, name, JITD_INT64, NULL, 0, returned, repl, &repl->request));
    if (expression)
        await(repl, jitd_remove(repl->session, &removal, NULL, NULL, &repl->request));
}

static void run_line(struct repl *repl, const char *text)
{
    char from[NAME_BYTES], to[NAME_BYTES], rest;
    const char *symbol = from, *target = to;

    compile(&repl->line, text);
    if (sscanf(text, " %31[A-Za-z_] -> %31[A-Za-z_] %c", from, to, &rest) == 2)
        await(repl, jitd_redirect(repl->session, JITD_LIBRARY_MAIN, &symbol, &target, 1, done, NULL, &repl->request));
    else if (repl->line.error)
        printf("line %d, column %d: %s\n", (int)repl->number, (int)(repl->line.error_at - text) + 1, repl->line.error);
    else
        run(repl);
}

/* A line without its comment. */
static bool read_line(char **text, size_t *room)
{
    fputs(isatty(STDIN_FILENO) ? "> " : "", stdout);
    fflush(stdout);
    if (getline(text, room, stdin) < 0)
        return false;
    (*text)[strcspn(*text, "#\n")] = '\0';
    return true;
}

int main(int argc, char **argv)
{
    /* Nothing of the C library is a function of the language, whatever it is called. */
    static const struct jitd_library library = {.number = JITD_LIBRARY_MAIN, .process_symbols = JITD_PROCESS_NONE};
    static const struct jitd_options options = {.profile = JITD_PROFILE_COMPUTE, .cpu_seconds = 60};
    static const struct jitd_listener listener = {.unit = unit_changed};
    struct repl repl = {.directory = argc > 1 ? argv[1] : NULL};
    static char *text;
    size_t room = 0;

    await(&repl, jitd_spawn(&options, &listener, &repl, &repl.session));
    await(&repl, jitd_define_library(repl.session, &library, done, NULL, &repl.request));
    adapt(&repl, false);
    adapt(&repl, true);
    for (repl.number = 1; read_line(&text, &room); repl.number++)
        if (text[strspn(text, " \t\r")])
            run_line(&repl, text);
    fputs(isatty(STDIN_FILENO) ? "\n" : "", stdout);
    jitd_close(repl.session);
    return 0;
}
