/*
 * A calculator whose functions are compiled and run by jitd: a compiler of one language, line by line, in three files.
 * compile.c makes code, object.c an object of it; this one submits that and hears what becomes of it.
 *
 *     calculator [DIRECTORY] <FILE              objects are kept in DIRECTORY
 *
 *     hyp(a, b) = sq(a) + sq(b)                 forward references wait
 *         hyp waits for sq
 *     sq(x) = x * x                             and are met when the definition comes
 *     hyp(3, 4)                                 is 25
 *     gcd[a, b] = ...                           takes boxed values; gcd(12, 18) gets there through an adapter
 *     gcd -> better                             puts another function in its place, boxed or not
 *
 * Each line is a batch of one unit. Names in its object are its own; the manifest says what they mean to others.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jitd.h>

#include "calculator.h"

struct calculator {
    struct jitd_session *session;
    jitd_request request;
    const char *directory;    /* for objects, or NULL */
    struct function function; /* of the line in work */
    struct object object;
    char name[NAME_BYTES]; /* of its unit: the function's, or "line-7" */
    uint64_t unit;         /* 0 where it was refused */
    uint64_t look_at;      /* the unit to ask about next: itself, then one that it waits for; 0: enough is known */
    bool ready;
};

static void tell_errors(const struct jitd_errors *errors)
{
    for (size_t i = 0; errors && i < errors->count; i++)
        if (errors->list[i].code != JITD_ERROR_CANCELLED)
            printf("%s\n", errors->list[i].text);
}

/* News may be of any unit: a definition can make one fail that has waited for it. */
static void unit_changed(struct jitd_session *session, const struct jitd_unit_event *event, void *data)
{
    (void)session, (void)data;
    if (event->state == JITD_UNIT_FAILED)
        tell_errors(&event->errors);
}

static void submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                      const struct jitd_errors *errors, void *data)
{
    (void)session, (void)count;
    struct calculator *calculator = data;

    tell_errors(errors);
    calculator->unit = errors ? 0 : units[0];
    calculator->ready = false;
}

/* One that waits does so for names that nobody offers, or for a unit that waits itself. */
static void inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                      const struct jitd_errors *errors, void *data)
{
    (void)session;
    struct calculator *calculator = data;
    const struct jitd_unit *unit = inspection && inspection->units_listed ? inspection->units : NULL;

    tell_errors(errors);
    calculator->look_at = 0;
    calculator->ready = unit && unit->state == JITD_UNIT_READY;
    if (unit && unit->missing_count)
        printf("%s waits for %s\n", calculator->name, unit->missing[0]);
    else if (unit && unit->state == JITD_UNIT_RESOLVED)
        calculator->look_at = unit->waits_for;
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
    tell_errors(errors);
    if (!end)
        return;
    printf("%s: signal %d, %s%s\n", calculator->name, end->signal, strsignal(end->signal),
           end->stack_overflow ? ": stack overflow" : "");
    for (size_t i = 0; i < end->frame_count && strcmp(last, calculator->name) != 0; last = end->frames[i++].unit)
        if (strcmp(last, end->frames[i].unit) != 0) /* not each call of a recursion */
            printf("    in %s\n", end->frames[i].unit);
}

static void dump(const struct calculator *calculator)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s.o", calculator->directory, calculator->name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(&calculator->object, sizeof calculator->object, 1, file) != 1 || fclose(file) != 0)
        perror(path);
}

static int await(struct calculator *calculator, int code)
{
    return code != JITD_OK ? code : jitd_wait(calculator->session, calculator->request, -1);
}

/* An expression refers to nothing that comes later (CLOSED), a definition may. Boxed functions may be replaced. */
static int submit(struct calculator *calculator)
{
    const struct function *function = &calculator->function;
    const struct object *object = &calculator->object;
    bool expression = !function->name[0];
    struct jitd_manifest_use uses[MOST_CALLS];
    const struct jitd_manifest_definition definition = {
        object->names.function, calculator->name, function->convention >= BOXED(0) ? JITD_DEFINITION_REDIRECTABLE : 0,
        function->convention};
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = uses, .use_count = function->call_count};
    const struct jitd_unit_input input = {
        .name = calculator->name, .object = object, .bytes = sizeof *object, .manifest = &manifest};
    struct jitd_batch *batch = jitd_batch_new(expression ? JITD_BATCH_CLOSED : 0);

    for (uint32_t i = 0; i < function->call_count; i++)
        uses[i] = (struct jitd_manifest_use){.local = object->names.calls[i],
                                             .global = function->calls[i].name,
                                             .convention = function->calls[i].convention};
    int code = batch ? jitd_batch_add_unit(batch, &input) : JITD_ERROR_NO_MEMORY;
    if (code == JITD_OK)
        return await(calculator, jitd_submit(calculator->session, batch, submitted, calculator, &calculator->request));
    jitd_batch_free(batch);
    return code;
}

/* News of a unit that can be ready at once go out before the next request is read: when that has been answered, it is
   known whether the unit waits. */
static int inspect(struct calculator *calculator)
{
    int code = JITD_OK;

    for (calculator->look_at = calculator->unit; code == JITD_OK && calculator->look_at;)
        code =
            await(calculator, jitd_inspect_from(calculator->session, JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES,
                                                calculator->look_at, 1, inspected, calculator, &calculator->request));
    return code;
}

/* An expression whose value cannot be had now is not kept for later. */
static int evaluate(struct calculator *calculator)
{
    struct jitd_session *session = calculator->session;

    if (calculator->ready)
        return await(calculator, jitd_call(session, calculator->name, JITD_INT64, NULL, 0, returned, calculator,
                                           &calculator->request));
    return await(calculator, jitd_cancel_units(session, &calculator->unit, 1, NULL, NULL, &calculator->request));
}

static void done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    (void)session, (void)data;
    tell_errors(errors);
}

/* Where a call and a function differ in their conventions, jitd goes through the adapter for the two. */
static int adapt(struct calculator *calculator, unsigned count, bool from_boxed)
{
    const unsigned conventions[] = {UNBOXED(count), BOXED(count)};

    compile_adapter(count, from_boxed, &calculator->function);
    object_make(&calculator->function, &calculator->object);
    snprintf(calculator->name, sizeof calculator->name, "%s-%u", from_boxed ? "unbox" : "box", count);
    int code = submit(calculator);
    return code ? code
                : jitd_adapt(calculator->session, JITD_LIBRARY_MAIN, calculator->name, conventions[from_boxed],
                             conventions[!from_boxed], done, NULL, NULL);
}

static int run_line(struct calculator *calculator, const char *line, unsigned number)
{
    const char *error = compile(line, &calculator->function);
    bool expression = !calculator->function.name[0];
    char from[NAME_BYTES], to[NAME_BYTES], *symbol = from, *target = to;

    if (sscanf(line, " %31[a-z_] -> %31[a-z_]", from, to) == 2)
        return await(calculator, jitd_redirect(calculator->session, JITD_LIBRARY_MAIN, (const char *const *)&symbol,
                                               (const char *const *)&target, 1, done, NULL, &calculator->request));
    if (error) {
        printf("line %u: %s\n", number, error);
        return JITD_OK;
    }
    snprintf(calculator->name, sizeof calculator->name, "line-%u", number);
    if (!expression)
        strcpy(calculator->name, calculator->function.name);
    object_make(&calculator->function, &calculator->object);
    if (calculator->directory)
        dump(calculator);
    int code = submit(calculator);
    code = code == JITD_OK ? inspect(calculator) : code;
    return code == JITD_OK && expression && calculator->unit ? evaluate(calculator) : code;
}

int main(int argc, char **argv)
{
    /* Nothing of the C library is a function of the language, whatever it is called. */
    static const struct jitd_library library = {.number = JITD_LIBRARY_MAIN, .process_symbols = JITD_PROCESS_NONE};
    static const struct jitd_options options = {.profile = JITD_PROFILE_COMPUTE};
    static const struct jitd_listener listener = {.unit = unit_changed};
    static struct calculator calculator;
    char line[1024]; /* this bounds how deep the compiler recurses, too */

    calculator.directory = argc > 1 ? argv[1] : NULL;
    int code = jitd_spawn(&options, &listener, &calculator, &calculator.session);
    if (code == JITD_OK)
        code = jitd_define_library(calculator.session, &library, NULL, NULL, NULL);
    for (unsigned number = 1, adapters = 0; code == JITD_OK && fgets(line, sizeof line, stdin); number++) {
        for (; strchr(line, '[') && adapters < 2 * MOST_PARAMETERS && code == JITD_OK; adapters++)
            code = adapt(&calculator, 1 + adapters / 2, adapters % 2);
        if (code == JITD_OK && !strchr("#\n", line[strspn(line, " \t")]))
            code = run_line(&calculator, line, number);
    }
    if (code != JITD_OK)
        fprintf(stderr, "%s: %s\n", argv[0],
                calculator.session ? jitd_last_error(calculator.session)->text : jitd_error_text(code));
    jitd_close(calculator.session);
    return code == JITD_OK ? 0 : 1;
}
