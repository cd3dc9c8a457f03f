/*
 * A calculator whose functions are compiled and run by jitd: a compiler of one language, line by line, in three files.
 * compile.c makes code, object.c an object of it; this one submits that and hears what becomes of it.
 *
 *     calculator [--dump DIRECTORY] [FILE]      of standard input without FILE, with a prompt on a terminal
 *
 *     > hyp(a, b) = sq(a) + sq(b)               forward references wait
 *     hyp waits for sq
 *     > sq(x) = x * x                           and are met when the definition comes
 *     sq is ready
 *     hyp is ready
 *     > hyp(3, 4)
 *     25
 *     > ?                                       what there is, and where
 *
 * Each line is a batch of one unit. Names in its object are its own; the manifest says what they mean to others.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jitd.h>

#include "calculator.h"

struct unit {
    uint64_t id;
    char name[NAME_BYTES];
};

struct calculator {
    struct jitd_session *session;
    const char *dump;   /* directory for objects, or NULL */
    struct unit *units; /* owned */
    size_t unit_count;
    struct function function; /* of the line in work */
    char name[NAME_BYTES];    /* of its unit: the function's, or "line-7" */
    uint64_t unit;            /* 0 where it was refused */
    bool ready;
    bool listing; /* "?" was asked */
};

static bool is_expression(const char *name)
{
    return strchr(name, '-') != NULL;
}

static const char *unit_name(const struct calculator *calculator, uint64_t id)
{
    size_t i = calculator->unit_count;

    while (i > 0 && calculator->units[i - 1].id != id)
        i--;
    return i ? calculator->units[i - 1].name : "";
}

/* ---- what the daemon tells ---- */

/* Codes are for programs, texts for people: where the language has words of its own they are said instead. */
static void tell_errors(const char *name, const struct jitd_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct jitd_error *error = &errors->list[i];

        if (error->code == JITD_ERROR_SYMBOL_DUPLICATE)
            printf("%s is defined already; to replace a function is a feature of a later version\n", name);
        else if (error->code == JITD_ERROR_SYMBOL_MISSING)
            printf("%s: %s is not defined\n", name, error->symbol);
        else if (error->code == JITD_ERROR_CONVENTION)
            printf("%s calls %s with another number of arguments than it has\n", name, error->symbol);
        else if (error->code != JITD_ERROR_CANCELLED)
            printf("%s: %s\n", name, error->text);
    }
}

/* News may be of any unit: a definition makes those ready that have waited for it. */
static void unit_changed(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    (void)session;
    struct calculator *calculator = data;
    const char *name = unit_name(calculator, event->unit);

    if (event->state == JITD_UNIT_FAILED)
        tell_errors(name, &event->errors);
    if (event->state != JITD_UNIT_READY)
        return;
    calculator->ready |= event->unit == calculator->unit;
    if (!is_expression(name))
        printf("%s is ready\n", name);
}

static void submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session;
    struct calculator *calculator = data;
    struct unit *wider = realloc(calculator->units, (calculator->unit_count + 1 + count) * sizeof *wider);

    if (errors)
        tell_errors(calculator->name, errors);
    if (wider)
        calculator->units = wider;
    if (errors || !wider)
        return;
    calculator->unit = wider[calculator->unit_count].id = units[0];
    strcpy(wider[calculator->unit_count++].name, calculator->name);
}

/* Addresses count from where the arena begins: that differs from session to session, what lies where in it does not. */
static void inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                      const struct jitd_errors *errors, void *data)
{
    const struct calculator *calculator = data;

    if (errors)
        tell_errors("?", errors);
    for (size_t i = 0; inspection && i < inspection->units_listed; i++) {
        const struct jitd_unit *unit = &inspection->units[i];

        if (unit->state == JITD_UNIT_RESOLVED) {
            printf("%s waits for %s", unit->name, unit_name(calculator, unit->waits_for));
            for (size_t m = 0; m < unit->missing_count; m++)
                printf("%s%s", m || unit->waits_for ? ", " : "", unit->missing[m]);
            printf("\n");
        } else if (unit->state == JITD_UNIT_READY && calculator->listing && !is_expression(unit->name)) {
            printf("%s is at arena + 0x%llx, %llu bytes\n", unit->name,
                   (unsigned long long)(unit->definitions->address - jitd_welcome(session)->arena_base),
                   (unsigned long long)unit->definitions->bytes);
        }
    }
}

/* How it ended is the kernel's word, whose code it was the linker's. */
static void returned(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                     const struct jitd_errors *errors, void *data)
{
    (void)session;
    const struct calculator *calculator = data;
    const char *last = "";

    if (result)
        printf("%lld\n", (long long)result->integer);
    if (errors)
        tell_errors(calculator->name, errors);
    if (!end)
        return;
    printf("%s: signal %d, %s%s\n", calculator->name, end->signal, strsignal(end->signal),
           end->stack_overflow ? ": stack overflow" : "");
    for (size_t i = 0; i < end->frame_count && strcmp(last, calculator->name) != 0; last = end->frames[i++].unit)
        if (strcmp(last, end->frames[i].unit) != 0) /* not each call of a recursion */
            printf("    in %s\n", end->frames[i].unit);
}

/* ---- what is asked of it ---- */

static void dump(const struct calculator *calculator, const char *object, size_t bytes)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s.o", calculator->dump, calculator->name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(object, 1, bytes, file) != bytes || fclose(file) != 0)
        perror(path);
}

/* A number of arguments is part of how a function is called: as its calling convention the daemon compares it where a
   definition and a use of it meet, whichever came first. 0 is the C ABI, by which expressions are called. */
static uint64_t convention(unsigned argument_count)
{
    return argument_count + 1;
}

/* An expression refers to nothing that comes later (CLOSED), a definition may. */
static int submit(struct calculator *calculator, const char *object, size_t bytes)
{
    const struct function *function = &calculator->function;
    bool expression = is_expression(calculator->name);
    struct jitd_manifest_use uses[MOST_CALLEES];
    const struct jitd_manifest_definition definition = {.local = FUNCTION_LOCAL,
                                                        .global = calculator->name,
                                                        .convention =
                                                            expression ? 0 : convention(function->parameter_count)};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = uses, .use_count = function->callee_count};
    const struct jitd_unit_input input = {
        .name = calculator->name, .object = object, .bytes = bytes, .manifest = &manifest};
    struct jitd_batch *batch = jitd_batch_new(expression ? JITD_BATCH_CLOSED : 0);
    jitd_request request;

    for (uint32_t i = 0; i < function->callee_count; i++)
        uses[i] = (struct jitd_manifest_use){.local = function->callees[i].local,
                                             .global = function->callees[i].name,
                                             .convention = convention(function->callees[i].argument_count)};
    int code = batch ? jitd_batch_add_unit(batch, &input) : JITD_ERROR_NO_MEMORY;
    if (code != JITD_OK) {
        jitd_batch_free(batch);
        return code;
    }
    code = jitd_submit(calculator->session, batch, submitted, calculator, &request);
    return code != JITD_OK ? code : jitd_wait(calculator->session, request, -1);
}

static int submit_function(struct calculator *calculator)
{
    char *object = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&object, &bytes);

    if (!stream)
        return JITD_ERROR_NO_MEMORY;
    object_write(&calculator->function, stream);
    int code = fclose(stream) == 0 ? JITD_OK : JITD_ERROR_NO_MEMORY;
    if (code == JITD_OK && calculator->dump)
        dump(calculator, object, bytes);
    if (code == JITD_OK)
        code = submit(calculator, object, bytes);
    free(object);
    return code;
}

/* Units from `first` on, at most `limit` of them; 0: all that one answer holds. */
static int inspect(struct calculator *calculator, uint64_t first, uint32_t limit)
{
    jitd_request request;
    int code = jitd_inspect_from(calculator->session, JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES, first, limit,
                                 inspected, calculator, &request);

    return code != JITD_OK ? code : jitd_wait(calculator->session, request, -1);
}

/* An expression whose value cannot be had now is not kept for later. */
static int evaluate(struct calculator *calculator)
{
    jitd_request request;
    int code = calculator->ready ? jitd_call(calculator->session, calculator->name, JITD_INT64, NULL, 0, returned,
                                             calculator, &request)
                                 : jitd_cancel_units(calculator->session, &calculator->unit, 1, NULL, NULL, &request);

    return code != JITD_OK ? code : jitd_wait(calculator->session, request, -1);
}

/* News of a unit that can be ready at once go out before the next request is read: when it has been answered, it is
   known whether the unit waits. */
static int run_line(struct calculator *calculator, const char *line, unsigned number)
{
    size_t where;
    const char *error = compile(line, &calculator->function, &where);

    if (error) {
        printf("line %u, column %zu: %s\n", number, where + 1, error);
        return JITD_OK;
    }
    snprintf(calculator->name, sizeof calculator->name, "line-%u", number);
    if (calculator->function.name[0])
        strcpy(calculator->name, calculator->function.name);
    calculator->unit = 0;
    calculator->ready = false;
    int code = submit_function(calculator);
    if (code != JITD_OK || !calculator->unit)
        return code;
    code = inspect(calculator, calculator->unit, 1);
    return code == JITD_OK && is_expression(calculator->name) ? evaluate(calculator) : code;
}

static int run(struct calculator *calculator, FILE *input)
{
    char *line = NULL;
    size_t room = 0;
    int code = JITD_OK;

    for (unsigned number = 1; code == JITD_OK; number++) {
        fputs(isatty(fileno(input)) ? "> " : "", stdout);
        fflush(stdout);
        if (getline(&line, &room, input) < 0)
            break;
        const char *text = line + strspn(line, " \t\r\n");
        calculator->listing = *text == '?';
        if (calculator->listing)
            code = inspect(calculator, 0, 0);
        else if (*text && *text != '#')
            code = run_line(calculator, line, number);
    }
    free(line);
    calculator->listing = false;
    return code == JITD_OK ? inspect(calculator, 0, 0) : code; /* what has waited in vain */
}

int main(int argc, char **argv)
{
    /* Nothing of the C library is a function of the language, whatever it is called. */
    static const struct jitd_library library = {.number = JITD_LIBRARY_MAIN, .process_symbols = JITD_PROCESS_NONE};
    static const struct jitd_options options = {.profile = JITD_PROFILE_COMPUTE};
    static const struct jitd_listener listener = {.unit = unit_changed};
    static struct calculator calculator;
    int file = argc > 2 && strcmp(argv[1], "--dump") == 0 ? 3 : 1;

    calculator.dump = file == 3 ? argv[2] : NULL;
    FILE *input = file < argc ? fopen(argv[file], "r") : stdin;
    if (!input || file + 1 < argc) {
        fprintf(stderr, "usage: %s [--dump DIRECTORY] [FILE]\n", argv[0]);
        return 2;
    }
    int code = jitd_spawn(&options, &listener, &calculator, &calculator.session);
    if (code == JITD_OK)
        code = jitd_define_library(calculator.session, &library, NULL, NULL, NULL);
    if (code == JITD_OK)
        code = run(&calculator, input);
    if (code != JITD_OK)
        fprintf(stderr, "%s: %s\n", argv[0],
                calculator.session ? jitd_last_error(calculator.session)->text : jitd_error_text(code));
    jitd_close(calculator.session);
    free(calculator.units);
    return code == JITD_OK ? 0 : 1;
}
