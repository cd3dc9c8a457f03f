/*
 * Build-time tool: compiles the tables of rules_runner.h and rules_linker.h to classic BPF and prints the arrays that
 * filter.c includes; with --markdown, the table of docs/trust.md.
 *
 * A program is: check of the architecture, a binary search over intervals of system-call numbers that share one fate,
 * and at each leaf either a return or the rows of one call in their order. libseccomp is not used: it keeps no order
 * among the rules of one call (an errno for "every other value" replaces the values that were allowed before it) and
 * takes one comparison an argument.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "common/bytes.h"
#include "daemon/sandbox/rules.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static const struct rule rules[] = {
#include "daemon/sandbox/rules_runner.h"

#include "daemon/sandbox/rules_linker.h"
};

/* Calls from FIRST_UNKNOWN on are younger than the tables; libc probes such calls and expects ENOSYS of an old kernel.
   Bit 30 marks the x32 ABI, whose numbers alias other calls. */
#define FIRST_UNKNOWN 451u
#define FIRST_X32     0x40000000u

struct role {
    enum filter_role role;
    const char *name; /* the array's */
    uint32_t action;  /* for calls without a row */
    uint32_t newer;   /* for calls from FIRST_UNKNOWN on */
};

static const struct role roles[] = {
    {FILTER_RUNNER_DEFAULT, "filter_default", SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO | ENOSYS},
    {FILTER_RUNNER_COMPUTE, "filter_compute", SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO | ENOSYS},
    {FILTER_RUNNER_TRUSTED, "filter_trusted", SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW},
    {FILTER_LINKER, "filter_linker", SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS},
};

struct program {
    struct sock_filter code[FILTER_INSTRUCTIONS];
    size_t count;
    size_t own_pids;
};

static void emit(struct program *program, unsigned code, uint32_t k, size_t if_true, size_t if_false)
{
    if (program->count == FILTER_INSTRUCTIONS || if_true > UINT8_MAX || if_false > UINT8_MAX) {
        fprintf(stderr, "generate-filters: the program has grown too long\n");
        exit(1);
    }
    program->code[program->count++] =
        (struct sock_filter){.code = (uint16_t)code, .jt = (uint8_t)if_true, .jf = (uint8_t)if_false, .k = k};
}

/* seccomp_data.args[n] as two 32-bit words, the lower one first. */
static uint32_t argument_word(uint32_t argument, unsigned word)
{
    return (uint32_t)(offsetof(struct seccomp_data, args) + 8 * argument + 4 * word);
}

/* One word of a condition, as a test that falls through where it holds. Nothing is emitted for a word it ignores. */
static void emit_word_test(struct program *program, uint32_t offset, uint32_t mask, uint32_t value)
{
    if (mask == 0)
        return;
    emit(program, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
    if (mask != UINT32_MAX)
        emit(program, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    if (value == OWN_PID_PLACEHOLDER)
        program->own_pids++;
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0); /* the way out is filled in by emit_row */
}

/* All conditions, then the action; a condition that fails jumps behind it. */
static void emit_row(struct program *program, const struct rule *rule)
{
    size_t begin = program->count;
    for (size_t i = 0; i < RULE_CONDITIONS; i++) {
        const struct rule_condition *condition = &rule->conditions[i];
        if (condition->width == WIDTH_NONE)
            continue;
        assert((condition->value & ~condition->mask) == 0);
        emit_word_test(program, argument_word(condition->argument, 0), (uint32_t)condition->mask,
                       (uint32_t)condition->value);
        if (condition->width == WIDTH_LONG)
            emit_word_test(program, argument_word(condition->argument, 1), (uint32_t)(condition->mask >> 32),
                           (uint32_t)(condition->value >> 32));
    }
    emit(program, BPF_RET | BPF_K, rule->action, 0, 0);
    for (size_t i = begin; i < program->count; i++)
        if (program->code[i].code == (BPF_JMP | BPF_JEQ | BPF_K))
            program->code[i].jf = (uint8_t)(program->count - i - 1);
}

static bool is_conditional(const struct rule *rule)
{
    return rule->conditions[0].width != WIDTH_NONE;
}

static const struct rule *next_row(const struct role *role, uint32_t number, const struct rule *after)
{
    for (const struct rule *rule = after ? after + 1 : rules; rule < rules + ARRAY_LENGTH(rules); rule++)
        if (rule->number == number && (rule->roles & ROLE(role->role)) != 0)
            return rule;
    return NULL;
}

/* The rows of one call up to the first without conditions; what no row decides gets the role's default. */
static void emit_call(struct program *program, const struct role *role, uint32_t number)
{
    for (const struct rule *rule = NULL; (rule = next_row(role, number, rule)) != NULL;) {
        emit_row(program, rule);
        if (!is_conditional(rule))
            return;
    }
    emit(program, BPF_RET | BPF_K, role->action, 0, 0);
}

/* Numbers from `first` up to the next interval's share one fate: `action`, or, where `rows` is set, first's rows. */
struct interval {
    uint32_t first;
    bool rows;
    uint32_t action;
};

static struct interval fate(const struct role *role, uint32_t number)
{
    if (number >= FIRST_X32)
        return (struct interval){number, false, SECCOMP_RET_KILL_PROCESS};
    const struct rule *rule = next_row(role, number, NULL);
    if (rule && is_conditional(rule))
        return (struct interval){number, true, 0};
    if (rule)
        return (struct interval){number, false, rule->action};
    return (struct interval){number, false, number >= FIRST_UNKNOWN ? role->newer : role->action};
}

static size_t divide(const struct role *role, struct interval *out)
{
    size_t count = 0;
    for (uint32_t number = 0; number <= FIRST_UNKNOWN; number++) {
        struct interval next = fate(role, number);
        if (count == 0 || next.rows || out[count - 1].rows || next.action != out[count - 1].action)
            out[count++] = next;
    }
    out[count++] = fate(role, FIRST_X32);
    return count;
}

/* Binary search: numbers below the middle interval fall through, the others jump over them. A conditional jump reaches
   255 instructions; where it must go further it takes two. Jumps are relative, so what follows can be moved up. */
static void emit_search(struct program *program, const struct role *role, const struct interval *list, size_t count)
{
    if (count == 1 && list->rows) {
        emit_call(program, role, list->first);
        return;
    }
    if (count == 1) {
        emit(program, BPF_RET | BPF_K, list->action, 0, 0);
        return;
    }
    size_t middle = count / 2;
    size_t branch = program->count;
    emit(program, BPF_JMP | BPF_JGE | BPF_K, list[middle].first, 0, 1);
    emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
    emit_search(program, role, list, middle);
    size_t below = program->count - branch - 2;
    program->code[branch + 1].k = (uint32_t)below;
    if (below <= UINT8_MAX) {
        memmove(&program->code[branch + 1], &program->code[branch + 2], below * sizeof program->code[0]);
        program->count--;
        program->code[branch].jt = (uint8_t)below;
        program->code[branch].jf = 0;
    }
    emit_search(program, role, list + middle, count - middle);
}

static void compile(const struct role *role, struct program *program)
{
    static struct interval intervals[FIRST_UNKNOWN + 2];
    program->count = program->own_pids = 0;
    emit(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit(program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    emit(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    emit_search(program, role, intervals, divide(role, intervals));
}

static void print_arrays(void)
{
    static struct program programs[FILTER_ROLE_COUNT];
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        const struct role *role = &roles[i];
        struct program *program = &programs[role->role];
        compile(role, program);
        printf("static const struct sock_filter %s[] = {\n", role->name);
        for (size_t j = 0; j < program->count; j++)
            printf("    {0x%02x, %u, %u, 0x%08x},\n", program->code[j].code, program->code[j].jt, program->code[j].jf,
                   program->code[j].k);
        printf("};\n\n");
    }
    printf("static const struct filter_image filter_images[] = {\n");
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
        printf("    [%d] = {%s, %zu, %zu},\n", (int)roles[i].role, roles[i].name, programs[roles[i].role].count,
               programs[roles[i].role].own_pids);
    printf("};\n");
}

/* What a role gets for a call, in the words of the document: "yes", "EPERM", "some, else EPERM". */
static void describe(const struct role *role, uint32_t number, char out[32])
{
    bool some = false;
    uint32_t action = role->action;
    for (const struct rule *rule = NULL; (rule = next_row(role, number, rule)) != NULL;) {
        if (!is_conditional(rule)) {
            action = rule->action;
            break;
        }
        some = true;
    }
    const char *rest = strerrorname_np((int)(action & SECCOMP_RET_DATA));
    if (action == SECCOMP_RET_ALLOW)
        rest = "yes";
    else if (action == SECCOMP_RET_ERRNO)
        rest = "pretended";
    else if (action == SECCOMP_RET_TRAP)
        rest = "crash";
    else if (action == SECCOMP_RET_KILL_PROCESS)
        rest = "killed";
    snprintf(out, 32, "%s%s", some ? "some, else " : "", rest);
}

/* One call's cells: compute, default, trusted, linker. */
static void describe_call(uint32_t number, char out[128])
{
    static const enum filter_role order[] = {FILTER_RUNNER_COMPUTE, FILTER_RUNNER_DEFAULT, FILTER_RUNNER_TRUSTED,
                                             FILTER_LINKER};
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        char cell[32];
        describe(&roles[order[i]], number, cell);
        used += (size_t)snprintf(out + used, 128 - used, " | %s", cell);
    }
}

static const char *name_of(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rules[i].number == number)
            return rules[i].name;
    return NULL;
}

/* Calls that fare alike share a line. */
static void print_markdown(void)
{
    static bool printed[FIRST_UNKNOWN];
    printf("| system calls | compute | default | trusted | linker |\n|---|---|---|---|---|\n");
    for (uint32_t number = 0; number < FIRST_UNKNOWN; number++) {
        if (!name_of(number) || printed[number])
            continue;
        char cells[128], others[128];
        describe_call(number, cells);
        printf("| %s", name_of(number));
        for (uint32_t other = number + 1; other < FIRST_UNKNOWN; other++) {
            describe_call(other, others);
            printed[other] |= name_of(other) && strcmp(cells, others) == 0;
            if (printed[other] && strcmp(cells, others) == 0)
                printf(", %s", name_of(other));
        }
        printf("%s |\n", cells);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--markdown") == 0)
        print_markdown();
    else
        print_arrays();
    return 0;
}
