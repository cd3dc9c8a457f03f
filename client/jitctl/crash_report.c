/*
 * The report for people.
 */
#include "client/jitctl/crash_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/name.h"
#include "client/jitctl/signal_text.h"
#include "common/bytes.h"

/* Objects of which something has been said below the backtrace. */
struct crash_notes {
    FILE *out;
    char *text; /* owned */
    size_t bytes;
    uint64_t units[16];
    size_t count;
};

size_t crash_report_locate(const struct jitd_frame *frame, struct places *places, const struct line_place **found)
{
    const struct place_key key = {.unit = frame->unit_id,
                                  .section = frame->section_index,
                                  .offset = frame->section_offset - (!frame->exact && frame->section_offset > 0)};
    return places_find(places, &key, found);
}

/* Of a name that fills the screen its beginning; JSON has it whole. */
#define CRASH_REPORT_TEXT_SHOWN 400

/* Names are the program's, or the daemon's: neither may speak to the terminal. */
static void crash_report_put(FILE *out, const char *before, const char *text, const char *after)
{
    size_t shown = strnlen(text, CRASH_REPORT_TEXT_SHOWN);
    fputs(before, out);
    name_print(out, text, shown);
    fprintf(out, "%s%s", text[shown] ? "..." : "", after);
}

static void crash_report_print_whose(FILE *out, const struct jitd_end *end)
{
    if (*end->initialiser_of)
        crash_report_put(out, "  while initialising ", end->initialiser_of, "\n");
    if (*end->finaliser_of)
        crash_report_put(out, "  while finalising ", end->finaliser_of, "\n");
    if (*end->action_of)
        crash_report_put(out, "  in an action of ", end->action_of, "\n");
    if (end->deadline_ms)
        fprintf(out, "  by jitd, since that had not returned within %" PRIu32 " ms\n", end->deadline_ms);
    if (end->lazy_error.code != 0) {
        crash_report_put(out, "  while waiting for ", end->lazy_symbol, ", which did not come: ");
        crash_report_put(out, "", end->lazy_error.text, "\n");
    }
}

static void crash_report_print_head(FILE *out, const char *program, const struct jitd_end *end)
{
    char name[32];
    const char *cause = end->record ? signal_text_cause(end->record_signal, end->signal_code) : NULL;
    crash_report_put(out, "jitctl: ", program, "");
    fprintf(out, " was killed by signal %d, %s (%s)%s%s\n", end->signal, signal_text_name(end->signal, name),
            signal_text_meaning(end->signal), cause ? ": " : "", cause ? cause : "");
    crash_report_print_whose(out, end);
    if (!end->record) {
        fprintf(out, "  it left no record of where\n");
        return;
    }
    if (end->record_signal != end->signal)
        fprintf(out, "  it says that it received signal %d, %s, before\n", end->record_signal,
                signal_text_name(end->record_signal, name));
    fprintf(out, "  at address 0x%" PRIx64 "%s, in thread %" PRIu64 "\n", end->fault_address,
            end->stack_overflow ? ", a stack overflow" : "", end->thread);
}

static void crash_report_print_place(FILE *out, const struct jitd_frame *frame, const struct line_place *place)
{
    if (*frame->unit)
        crash_report_put(out, " (", frame->unit, ")");
    if (place && *place->file) {
        crash_report_put(out, " at ", place->file, "");
        fprintf(out, ":%d", place->line);
    }
    fputc('\n', out);
}

static void crash_report_print_inlined(FILE *out, const struct jitd_frame *frame, const struct line_place *place)
{
    crash_report_put(out, "", *place->function ? place->function : "??", "");
    if (*place->demangled)
        crash_report_put(out, " [", place->demangled, "]");
    fputs(", inlined", out);
    crash_report_print_place(out, frame, place);
}

static void crash_report_print_function(FILE *out, const struct jitd_frame *frame, struct places *places)
{
    const char *demangled = places_demangle(places, frame->function);
    const char *name = *frame->function ? frame->function : *frame->section ? frame->section : "??";
    crash_report_put(out, "", name, "");
    if (*frame->function || *frame->section)
        fprintf(out, "+0x%" PRIx64, *frame->function ? frame->function_offset : frame->section_offset);
    if (demangled)
        crash_report_put(out, " [", demangled, "]");
}

static void crash_report_note(struct crash_notes *notes, const struct jitd_frame *frame, const char *problem)
{
    for (size_t i = 0; i < notes->count; i++)
        if (notes->units[i] == frame->unit_id)
            return;
    if (!*problem || !notes->out || notes->count == ARRAY_LENGTH(notes->units))
        return;
    notes->units[notes->count++] = frame->unit_id;
    crash_report_put(notes->out, "  ", frame->unit, ": ");
    crash_report_put(notes->out, "", problem, "\n");
}

/* One line for each function that was inlined there, and one for the function that they were inlined into. */
static void crash_report_print_frame(FILE *out, const struct jitd_end *end, size_t index, struct places *places,
                                     struct crash_notes *notes)
{
    const struct jitd_frame *frame = &end->frames[index];
    const struct line_place *found;
    size_t count = crash_report_locate(frame, places, &found);
    crash_report_note(notes, frame, places_problem(places));
    for (size_t i = 0; i < count || i == 0; i++) {
        fprintf(out, "  #%-2zu 0x%016" PRIx64 " in ", index, frame->pc);
        if (i + 1 < count) {
            crash_report_print_inlined(out, frame, &found[i]);
            continue;
        }
        crash_report_print_function(out, frame, places);
        crash_report_print_place(out, frame, count ? &found[i] : NULL);
    }
}

static void crash_report_print_frames(FILE *out, const struct jitd_end *end, struct places *places)
{
    struct crash_notes notes = {0};
    notes.out = open_memstream(&notes.text, &notes.bytes);
    for (size_t i = 0; i < end->frame_count; i++)
        crash_report_print_frame(out, end, i, places, &notes);
    if (notes.out && fclose(notes.out) == 0)
        fputs(notes.text, out);
    free(notes.text);
}

static void crash_report_print_registers(FILE *out, const struct jitd_end *end)
{
    for (size_t i = 0; i < end->register_count; i++) {
        bool last = i % 3 == 2 || i + 1 == end->register_count;
        fprintf(out, "%s%-6s %016" PRIx64 "%s", i % 3 ? "   " : "  ", end->registers[i].name, end->registers[i].value,
                last ? "\n" : "");
    }
}

void crash_report_print(FILE *out, const char *program, const struct jitd_end *end, struct places *places)
{
    crash_report_print_head(out, program, end);
    crash_report_print_frames(out, end, places);
    crash_report_print_registers(out, end);
    if (end->record)
        fprintf(out, "  (the kernel vouches for the signal, jitd for names; addresses and registers are the program's "
                     "own word)\n");
    fflush(out);
}
