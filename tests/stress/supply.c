/*
 * Units: compiled once, and copied with another name and another identity for each version of each function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/compile.h"
#include "tests/stress/random.h"
#include "tests/stress/stress.h"

#define FLAGS      "-O1 -fPIC -I."
#define ALT_NUMBER 200 /* as in tests/objects/stress_program.c */

static const uint64_t identity_mark = 0x5ead1dea5ead1dea;

/* How a function is made. */
enum variant { VARIANT_PLAIN, VARIANT_DATA, VARIANT_NESTED, VARIANTS };

static const char *const variant_flags[VARIANTS] = {FLAGS, FLAGS " -DDATA", FLAGS " -DDATA -DNESTED"};

static struct object_bytes program, variants[VARIANTS];
static char lazy_names[LAZIES][8], switch_names[SWITCHES][16];

void supply_prepare(void)
{
    program = compile_c("#include \"tests/objects/stress_program.c\"\n", FLAGS);
    for (int v = 0; v < VARIANTS; v++)
        variants[v] = compile_c("#include \"tests/objects/stress_function.c\"\n", variant_flags[v]);
}

void supply_close(void)
{
    object_free(&program);
    for (int v = 0; v < VARIANTS; v++)
        object_free(&variants[v]);
}

const char *supply_name(uint32_t index, char out[8])
{
    snprintf(out, 8, index < LAZIES ? "lazy_%02u" : "alt_%03u", (index < LAZIES ? index : index - LAZIES) % 100);
    return out;
}

static void replace(const struct object_bytes *object, const void *from, const void *to, size_t length)
{
    for (uint8_t *at = object->bytes, *end = at + object->length;
         (at = memmem(at, (size_t)(end - at), from, length)) != NULL; at += length)
        memcpy(at, to, length);
}

static void submit(struct stress *stress, const struct jitd_unit_input *input, jitd_submit_callback *callback,
                   struct function *function)
{
    struct jitd_batch *batch = jitd_batch_new(0);

    if (!batch || jitd_batch_add_unit(batch, input) != 0 ||
        jitd_submit(stress->session, batch, callback, function, NULL) != 0)
        stress_fail(stress, "%s cannot be submitted: %s", input->name, jitd_last_error(stress->session)->text);
}

void supply_program(struct stress *stress)
{
    struct jitd_manifest_definition definitions[SWITCHES + 1] = {{.local = "drive"}};
    struct jitd_manifest_use uses[LAZIES];
    const struct jitd_manifest manifest = {
        .definitions = definitions, .definition_count = SWITCHES + 1, .uses = uses, .use_count = LAZIES};

    for (uint32_t i = 0; i < LAZIES; i++)
        uses[i] = (struct jitd_manifest_use){.local = supply_name(i, lazy_names[i]), .flags = JITD_USE_LAZY};
    for (uint32_t i = 0; i < SWITCHES; i++) {
        snprintf(switch_names[i], sizeof switch_names[i], "switch_%u", i);
        definitions[i + 1] =
            (struct jitd_manifest_definition){.local = switch_names[i], .flags = JITD_DEFINITION_REDIRECTABLE};
    }
    submit(stress,
           &(struct jitd_unit_input){
               .name = "program", .object = program.bytes, .bytes = program.length, .manifest = &manifest},
           NULL, NULL);
}

static void on_submitted(struct jitd_session *session, const uint64_t *units, size_t count,
                         const struct jitd_errors *errors, void *data)
{
    struct function *function = data;

    (void)session;
    (void)count;
    function->state = errors ? FUNCTION_ABSENT : FUNCTION_COMING; /* stress_round sees that it never becomes ready */
    function->unit = errors ? 0 : units[0];
}

void supply_function(struct stress *stress, uint32_t index)
{
    struct function *function = &stress->functions[index];
    bool has_next = index < LAZIES - 1;
    const struct object_bytes *variant = &variants[random_draw(&stress->random, has_next ? VARIANTS : VARIANT_NESTED)];
    struct object_bytes object = object_copy(variant);
    uint64_t number = index < LAZIES ? index : ALT_NUMBER + index - LAZIES,
             identity = number << 32 | ++function->version;
    char name[8], next[8];
    const struct jitd_manifest_definition definition = {.local = supply_name(index, name)};
    const struct jitd_manifest_use use = {.local = supply_name(index + 1, next), .flags = JITD_USE_LAZY};
    const struct jitd_manifest manifest = {.definitions = &definition,
                                           .definition_count = 1,
                                           .uses = &use,
                                           .use_count = variant == &variants[VARIANT_NESTED]};

    replace(&object, "lazy_00", name, sizeof "lazy_00");
    replace(&object, "lazy_99", next, sizeof "lazy_99");
    replace(&object, &identity_mark, &identity, sizeof identity);
    function->state = FUNCTION_SENT;
    function->ask = 0;
    submit(
        stress,
        &(struct jitd_unit_input){.name = name, .object = object.bytes, .bytes = object.length, .manifest = &manifest},
        on_submitted, function);
    object_free(&object);
}
