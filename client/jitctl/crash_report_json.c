/*
 * The report for programs: one JSON object, its parts under the name of who vouches for them.
 */
#include "client/jitctl/crash_report.h"
#include "client/jitctl/json.h"
#include "client/jitctl/signal_text.h"

static void crash_report_json_place(struct json *json, const struct line_place *place)
{
    if (!*place->file)
        return;
    json_string(json, "file", place->file);
    json_signed(json, "line", place->line);
}

static void crash_report_json_inlined(struct json *json, const struct line_place *found, size_t count)
{
    json_open(json, "inlined", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        json_string(json, "function", found[i].function);
        if (*found[i].demangled)
            json_string(json, "demangled", found[i].demangled);
        crash_report_json_place(json, &found[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void crash_report_json_lookup(struct json *json, const struct jitd_frame *frame, struct places *places)
{
    const struct line_place *found;
    size_t count = crash_report_locate(frame, places, &found);
    if (count)
        crash_report_json_place(json, &found[count - 1]);
    if (count > 1)
        crash_report_json_inlined(json, found, count - 1);
    if (*places_problem(places))
        json_string(json, "problem", places_problem(places));
}

static void crash_report_json_frame(struct json *json, const struct jitd_frame *frame, struct places *places)
{
    const char *demangled = places_demangle(places, frame->function);
    json_open(json, NULL, '{');
    json_address(json, "pc", frame->pc);
    json_boolean(json, "exact", frame->exact);
    if (*frame->unit)
        json_string(json, "unit", frame->unit);
    if (frame->unit_id)
        json_unsigned(json, "unit_id", frame->unit_id);
    if (*frame->section) {
        json_string(json, "section", frame->section);
        json_unsigned(json, "section_index", frame->section_index);
        json_unsigned(json, "section_offset", frame->section_offset);
    }
    if (*frame->function) {
        json_string(json, "function", frame->function);
        if (demangled)
            json_string(json, "demangled", demangled);
        json_unsigned(json, "function_offset", frame->function_offset);
    }
    crash_report_json_lookup(json, frame, places);
    json_close(json, '}');
}

/* What only the crashed program says. Frames stand here, since the list of program counters is its claim. */
static void crash_report_json_record(struct json *json, const struct jitd_end *end, struct places *places)
{
    char name[32];
    const char *cause = signal_text_cause(end->record_signal, end->signal_code);
    json_open(json, "program", '{');
    json_signed(json, "signal", end->record_signal);
    json_string(json, "signal_name", signal_text_name(end->record_signal, name));
    json_signed(json, "signal_code", end->signal_code);
    if (cause)
        json_string(json, "cause", cause);
    json_address(json, "fault_address", end->fault_address);
    json_boolean(json, "stack_overflow", end->stack_overflow);
    json_unsigned(json, "thread", end->thread);
    json_open(json, "frames", '[');
    for (size_t i = 0; i < end->frame_count; i++)
        crash_report_json_frame(json, &end->frames[i], places);
    json_close(json, ']');
    json_open(json, "registers", '{');
    for (size_t i = 0; i < end->register_count; i++)
        json_address(json, end->registers[i].name, end->registers[i].value);
    json_close(json, '}');
    json_close(json, '}');
}

static void crash_report_json_linker(struct json *json, const struct jitd_end *end)
{
    if (!*end->initialiser_of && !*end->finaliser_of && !*end->action_of && end->lazy_error.code == 0)
        return;
    json_open(json, "linker", '{');
    if (*end->initialiser_of)
        json_string(json, "initialiser_of", end->initialiser_of);
    if (*end->finaliser_of)
        json_string(json, "finaliser_of", end->finaliser_of);
    if (*end->action_of)
        json_string(json, "action_of", end->action_of);
    if (end->deadline_ms)
        json_unsigned(json, "deadline_ms", end->deadline_ms);
    if (end->lazy_error.code != 0) {
        json_string(json, "lazy_symbol", end->lazy_symbol);
        json_string(json, "lazy_error", end->lazy_error.text);
        json_string(json, "lazy_error_code", jitd_error_name(end->lazy_error.code));
    }
    json_close(json, '}');
}

void crash_report_print_json(FILE *out, const char *program, const struct jitd_end *end, struct places *places)
{
    char name[32];
    struct json json;
    json_init(&json, out);
    json_open(&json, NULL, '{');
    json_string(&json, "name", program);
    json_open(&json, "kernel", '{');
    json_signed(&json, "signal", end->signal);
    json_string(&json, "signal_name", signal_text_name(end->signal, name));
    json_string(&json, "meaning", signal_text_meaning(end->signal));
    json_close(&json, '}');
    crash_report_json_linker(&json, end);
    if (end->record)
        crash_report_json_record(&json, end, places);
    json_close(&json, '}');
    fflush(out);
}
