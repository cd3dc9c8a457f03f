/*
 * jitctl link: links as `run` does, calls nothing but initialisers, and prints where everything lies.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/jitctl/commands.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/conversation.h"
#include "client/jitctl/json.h"

static void link_print(const struct jitd_inspection *inspection)
{
    printf("%-5s %-18s %12s %12s\n", "zone", "address", "bytes", "used");
    for (size_t i = 0; i < inspection->zone_count; i++) {
        const struct jitd_zone *zone = &inspection->zones[i];
        printf("%-5s 0x%016" PRIx64 " %12" PRIu64 " %12" PRIu64 "\n", zone->name, zone->address, zone->bytes,
               zone->used);
    }
    for (size_t i = 0; i < inspection->units_listed; i++) {
        const struct jitd_unit *unit = &inspection->units[i];
        printf("\nunit %" PRIu64 ", %s: %s\n", unit->unit, jitd_unit_state_name(unit->state), unit->name);
        for (size_t k = 0; k < unit->definition_count; k++)
            printf("  0x%016" PRIx64 " %10" PRIu64 "  %s\n", unit->definitions[k].address, unit->definitions[k].bytes,
                   unit->definitions[k].name);
    }
}

static void link_print_json_zone(struct json *json, const struct jitd_zone *zone)
{
    json_open(json, NULL, '{');
    json_string(json, "name", zone->name);
    json_address(json, "address", zone->address);
    json_unsigned(json, "bytes", zone->bytes);
    json_unsigned(json, "used", zone->used);
    json_close(json, '}');
}

static void link_print_json_unit(struct json *json, const struct jitd_unit *unit)
{
    json_open(json, NULL, '{');
    json_unsigned(json, "unit", unit->unit);
    json_string(json, "name", unit->name);
    json_string(json, "state", jitd_unit_state_name(unit->state));
    json_open(json, "definitions", '[');
    for (size_t i = 0; i < unit->definition_count; i++) {
        json_open(json, NULL, '{');
        json_string(json, "name", unit->definitions[i].name);
        json_address(json, "address", unit->definitions[i].address);
        json_unsigned(json, "bytes", unit->definitions[i].bytes);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void link_print_json(const struct jitd_inspection *inspection)
{
    struct json json;
    json_init(&json, stdout);
    json_open(&json, NULL, '{');
    json_open(&json, "zones", '[');
    for (size_t i = 0; i < inspection->zone_count; i++)
        link_print_json_zone(&json, &inspection->zones[i]);
    json_close(&json, ']');
    json_open(&json, "units", '[');
    for (size_t i = 0; i < inspection->units_listed; i++)
        link_print_json_unit(&json, &inspection->units[i]);
    json_close(&json, ']');
    json_close(&json, '}');
}

static void link_on_inspected(struct jitd_session *session, const struct jitd_inspection *inspection,
                              const struct jitd_errors *errors, void *data)
{
    struct conversation *conversation = data;
    const struct options *options = conversation->data;
    (void)session;
    if (conversation->finished)
        return;
    if (errors) {
        conversation_fail(conversation, errors);
        return;
    }
    if (options->json)
        link_print_json(inspection);
    else
        link_print(inspection);
    conversation_finish(conversation, 0);
}

static int link_inspect(struct conversation *conversation, const struct inputs *inputs)
{
    int status = conversation_submit(conversation, inputs);
    if (status || conversation->finished)
        return status;
    if (jitd_inspect(conversation->session, JITD_INSPECT_UNITS, link_on_inspected, conversation, NULL))
        return complain("the map cannot be asked for: %s", jitd_last_error(conversation->session)->text);
    return conversation_wait(conversation);
}

int link_command(int argc, char **argv)
{
    struct options options;
    struct inputs inputs = {0};
    struct conversation conversation = {.data = &options};
    struct jitd_options session = {0};
    int status = options_parse(&options, OPTIONS_LINK, argc, argv);
    if (!status)
        status = inputs_gather(&inputs, &options, false);
    if (!status)
        status = conversation_open(&conversation, &options, &inputs, &session);
    if (!status)
        status = link_inspect(&conversation, &inputs);
    conversation_close(&conversation);
    inputs_free(&inputs);
    options_free(&options);
    return status;
}
