/*
 * The report for people.
 */
#include "client/jitctl/crash_report.h"

#include <inttypes.h>

#include "client/jitctl/signal_text.h"

bool crash_report_locate(const struct jitd_end *end, size_t index, struct places *places, const char **file, int *line)
{
    const struct jitd_frame *frame = &end->frames[index];
    uint64_t offset = frame->section_offset;
    if (index > 0 && offset > 0)
        offset--;
    return *frame->section && places_find(places, frame->unit, frame->section, offset, file, line);
}

static void crash_report_print_head(FILE *out, const char *program, const struct jitd_end *end)
{
    char name[32];
    const char *cause = end->record ? signal_text_cause(end->record_signal, end->signal_code) : NULL;
    fprintf(out, "jitctl: %s was killed by signal %d, %s (%s)%s%s\n", program, end->signal,
            signal_text_name(end->signal, name), signal_text_meaning(end->signal), cause ? ": " : "",
            cause ? cause : "");
    if (*end->initialiser_of)
        fprintf(out, "  while initialising %s\n", end->initialiser_of);
    if (*end->finaliser_of)
        fprintf(out, "  while finalising %s\n", end->finaliser_of);
    if (*end->action_of)
        fprintf(out, "  in an action of %s\n", end->action_of);
    if (end->deadline_ms)
        fprintf(out, "  by jitd, since that had not returned within %" PRIu32 " ms\n", end->deadline_ms);
    if (end->lazy_error.code != 0)
        fprintf(out, "  while waiting for %s, which did not come: %s\n", end->lazy_symbol, end->lazy_error.text);
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

static void crash_report_print_frame(FILE *out, const struct jitd_end *end, size_t index, struct places *places)
{
    const struct jitd_frame *frame = &end->frames[index];
    const char *file;
    int line;
    fprintf(out, "  #%-2zu 0x%016" PRIx64 " in ", index, frame->pc);
    if (*frame->function)
        fprintf(out, "%s+0x%" PRIx64, frame->function, frame->function_offset);
    else if (*frame->section)
        fprintf(out, "%s+0x%" PRIx64, frame->section, frame->section_offset);
    else
        fputs("??", out);
    if (*frame->unit)
        fprintf(out, " (%s)", frame->unit);
    if (crash_report_locate(end, index, places, &file, &line))
        fprintf(out, " at %s:%d", file, line);
    fputc('\n', out);
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
    for (size_t i = 0; i < end->frame_count; i++)
        crash_report_print_frame(out, end, i, places);
    crash_report_print_registers(out, end);
    if (end->record)
        fprintf(out, "  (the kernel vouches for the signal, jitd for names; addresses and registers are the program's "
                     "own word)\n");
    fflush(out);
}
