/*
 * What a report says of the end of a life: the kernel's word through the template, the crash record that the runner
 * claims, and what the linker's own tables know of the addresses in it.
 */
#include <string.h>
#include <sys/wait.h>

#include "daemon/linker/code_map.h"
#include "daemon/linker/session.h"

/* In the order of channel_crash.registers. */
static const char *const register_names[CRASH_REGISTERS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                                            "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                                            "r12", "r13", "r14", "r15", "rip", "eflags"};

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static ProtobufCBinaryData beginning(const char *string, size_t most)
{
    return (ProtobufCBinaryData){strnlen(string, most), (uint8_t *)(uintptr_t)string};
}

/* The unit's section and the function around an offset in zone X; a function of size 0, as an assembler's labels are,
   reaches to the next one in its section. Of two names at one address the later one is taken: symbol tables list local
   aliases (f.localalias) before globals. A name has at most `most` bytes. */
static void describe_in_unit(const struct unit *unit, uint64_t offset, size_t most, Jitd__Proto__StackFrame *frame)
{
    const struct code_range *section = NULL, *function = NULL;

    for (uint32_t i = 0; i < unit->range_count; i++) {
        const struct code_range *range = &unit->ranges[i];
        uint64_t into = offset - range->offset;

        if (into < range->bytes || (!range->section && range->bytes == 0 && offset >= range->offset)) {
            if (range->section)
                section = range;
            else if (!function || range->offset >= function->offset)
                function = range;
        }
    }
    if (function && function->bytes == 0 && !(section && function->offset >= section->offset))
        function = NULL;
    frame->unit = text(unit->name);
    frame->unit_id = unit->id;
    if (section) {
        frame->section_index = code_map_section_index(unit, (uint32_t)(section - unit->ranges));
        frame->section = beginning(section->name, most);
        frame->section_offset = offset - section->offset;
    }
    if (function) {
        frame->function = beginning(function->name, most);
        frame->function_offset = offset - function->offset;
    }
}

/* A return address belongs to the call before it, which may be the last instruction of its function. */
static void describe_frame(const struct session *session, uint64_t pc, bool exact, size_t most,
                           Jitd__Proto__StackFrame *frame)
{
    uint64_t back = exact ? 0 : 1, offset;
    const struct unit *unit = link_find_code(&session->linker, pc - back, NULL);
    const char *library, *function;
    enum zone zone;

    frame->pc = pc;
    frame->exact = exact;
    if (unit && arena_find(session->arena, pc - back, &zone, &offset)) {
        describe_in_unit(unit, offset, most, frame);
        frame->section_offset += frame->section.len ? back : 0;
        frame->function_offset += frame->function.len ? back : 0;
        return;
    }
    if (!process_symbols_describe(session->linker.process, pc - back, &library, &function, &offset))
        return;
    frame->unit = text(*library ? library : "jitd-runner");
    frame->function = beginning(function, most);
    frame->function_offset = *function ? offset + back : 0;
}

static void describe_frames(const struct session *session, const struct channel_crash *crash, struct pool *pool,
                            Jitd__Proto__Ended *out)
{
    Jitd__Proto__StackFrame *frames = pool_allocate_array(pool, crash->frame_count, sizeof *frames);
    /* A frame names a function and a section, and the names of all frames are to fit into half a message. */
    size_t most = LIMIT_MESSAGE_BYTES / 4 / (crash->frame_count + 1u);

    out->frames = pool_allocate_array(pool, crash->frame_count + 1u, sizeof *out->frames);
    for (uint32_t i = 0; i < crash->frame_count && frames && out->frames; i++) {
        jitd__proto__stack_frame__init(&frames[i]);
        describe_frame(session, crash->frames[i], i == 0 || crash->exact[i], most, &frames[i]);
        out->frames[out->n_frames++] = &frames[i];
    }
}

static void describe_registers(const struct channel_crash *crash, struct pool *pool, Jitd__Proto__Ended *out)
{
    Jitd__Proto__Register *registers = pool_allocate_array(pool, CRASH_REGISTERS, sizeof *registers);

    out->registers = pool_allocate_array(pool, CRASH_REGISTERS, sizeof *out->registers);
    for (uint32_t i = 0; i < CRASH_REGISTERS && registers && out->registers; i++) {
        jitd__proto__register__init(&registers[i]);
        registers[i].name = text(register_names[i]);
        registers[i].value = crash->registers[i];
        out->registers[out->n_registers++] = &registers[i];
    }
}

/* A thread waited for a function and was told that it will not come: the linker's own knowledge. */
static void describe_refusal(const struct session *session, struct pool *pool, Jitd__Proto__Ended *out)
{
    Jitd__Proto__Error *error = pool_allocate(pool, sizeof *error);

    out->lazy_symbol = text(session->lazy_refusal.symbol);
    if (!error)
        return;
    jitd__proto__error__init(error);
    error->code = (uint32_t)session->lazy_refusal.code;
    error->text = text(session->lazy_refusal.text);
    error->symbol = text(session->lazy_refusal.symbol);
    out->lazy_error = error;
}

void crash_describe(struct session *session, int wait_status, const struct crash_suspects *suspects, struct pool *pool,
                    Jitd__Proto__Ended *out)
{
    struct channel_crash *crash = pool_allocate(pool, sizeof *crash);

    out->epoch = runner_epoch(session->runner);
    out->exited = WIFEXITED(wait_status);
    out->exit_status = out->exited ? WEXITSTATUS(wait_status) : 0;
    out->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    if (suspects->initialising)
        out->initialiser_of = text(suspects->initialising->name);
    if (suspects->finalising)
        out->finaliser_of = text(suspects->finalising->name);
    if (suspects->acting)
        out->action_of = text(suspects->acting->name);
    out->deadline_ms = suspects->deadline_ms;
    if (session->lazy_refusal.code)
        describe_refusal(session, pool, out);
    if (out->exited || !crash || !runner_read_crash(session->runner, crash))
        return;
    out->record = true;
    out->record_signal = crash->signal;
    out->signal_code = crash->code;
    out->fault_address = crash->address;
    out->stack_overflow = crash->stack_overflow != 0;
    out->thread = crash->thread;
    describe_registers(crash, pool, out);
    describe_frames(session, crash, pool, out);
}
