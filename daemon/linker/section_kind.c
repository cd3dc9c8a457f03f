#include "daemon/linker/section_kind.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What may stand behind a name: nothing; nothing or a dot with anything (`.text .text.*`); anything. */
enum tail { NOTHING, SUFFIX, ANYTHING };

struct rule {
    const char *name; /* NULL ends a list */
    uint8_t length;
    uint8_t tail; /* enum tail */
    uint8_t kind; /* enum section_kind */
};

#define RULE(name, tail, kind)                                                                                         \
    {                                                                                                                  \
        name, sizeof name - 1, tail, SECTION_##kind                                                                    \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, 0, 0, 0                                                                                                  \
    }

/* The input patterns of the script by the letter behind the dot. The first that fits counts. */
static const struct rule rules_b[] = {RULE(".bss", SUFFIX, DATA), END};
static const struct rule rules_c[] = {RULE(".ctors", SUFFIX, CTORS), END};
static const struct rule rules_d[] = {RULE(".data.rel.ro", SUFFIX, RELRO),
                                      RULE(".data", SUFFIX, DATA),
                                      RULE(".data1", NOTHING, DATA),
                                      RULE(".dtors", SUFFIX, DTORS),
                                      RULE(".dynbss", NOTHING, DATA),
                                      RULE(".dynlbss", NOTHING, DATA),
                                      END};
static const struct rule rules_e[] = {RULE(".eh_frame", SUFFIX, EH_FRAME),
                                      RULE(".exception_ranges", ANYTHING, CONSTANT), END};
static const struct rule rules_f[] = {RULE(".fini", NOTHING, FINI), RULE(".fini_array", SUFFIX, FINI_ARRAY), END};
static const struct rule rules_g[] = {RULE(".gcc_except_table", SUFFIX, CONSTANT),
                                      RULE(".gnu_extab", ANYTHING, CONSTANT),
                                      RULE(".gnu.linkonce.t.", ANYTHING, CODE),
                                      RULE(".gnu.linkonce.r.", ANYTHING, CONSTANT),
                                      RULE(".gnu.linkonce.d.rel.ro.", ANYTHING, RELRO),
                                      RULE(".gnu.linkonce.d.", ANYTHING, DATA),
                                      RULE(".gnu.linkonce.b.", ANYTHING, DATA),
                                      RULE(".gnu.linkonce.td.", ANYTHING, TLS),
                                      RULE(".gnu.linkonce.tb.", ANYTHING, TLS),
                                      RULE(".gnu.linkonce.lr.", ANYTHING, CONSTANT),
                                      RULE(".gnu.linkonce.l.", ANYTHING, DATA),
                                      RULE(".gnu.linkonce.lb.", ANYTHING, DATA),
                                      END};
static const struct rule rules_i[] = {RULE(".init", NOTHING, INIT), RULE(".init_array", SUFFIX, INIT_ARRAY), END};
static const struct rule rules_j[] = {RULE(".jcr", NOTHING, RELRO), END};
static const struct rule rules_l[] = {RULE(".lbss", SUFFIX, DATA), RULE(".lrodata", SUFFIX, CONSTANT),
                                      RULE(".ldata", SUFFIX, DATA), END};
static const struct rule rules_p[] = {RULE(".preinit_array", NOTHING, PREINIT_ARRAY), END};
static const struct rule rules_r[] = {RULE(".rodata", SUFFIX, CONSTANT), RULE(".rodata1", NOTHING, CONSTANT), END};
static const struct rule rules_s[] = {RULE(".stub", NOTHING, CODE), END};
static const struct rule rules_t[] = {RULE(".text", SUFFIX, CODE), RULE(".tdata", SUFFIX, TLS),
                                      RULE(".tbss", SUFFIX, TLS), RULE(".tcommon", NOTHING, TLS), END};

static const struct rule *const rules[] = {
    ['b' - 'a'] = rules_b, ['c' - 'a'] = rules_c, ['d' - 'a'] = rules_d, ['e' - 'a'] = rules_e, ['f' - 'a'] = rules_f,
    ['g' - 'a'] = rules_g, ['i' - 'a'] = rules_i, ['j' - 'a'] = rules_j, ['l' - 'a'] = rules_l, ['p' - 'a'] = rules_p,
    ['r' - 'a'] = rules_r, ['s' - 'a'] = rules_s, ['t' - 'a'] = rules_t,
};

static bool fits(const struct rule *rule, const char *name)
{
    /* Names are short, and most rules end here at their third letter. */
    for (unsigned i = 2; i < rule->length; i++)
        if (name[i] != rule->name[i])
            return false;
    char next = name[rule->length];
    return next == '\0' || rule->tail == ANYTHING || (rule->tail == SUFFIX && next == '.');
}

enum section_kind section_kind_of(const char *name)
{
    unsigned letter = name[0] == '.' ? (unsigned)(unsigned char)name[1] - 'a' : UINT_MAX;

    if (letter >= sizeof rules / sizeof *rules || !rules[letter])
        return SECTION_OTHER;
    for (const struct rule *rule = rules[letter]; rule->name; rule++)
        if (fits(rule, name))
            return (enum section_kind)rule->kind;
    return SECTION_OTHER;
}

/* Groups of arrays in the order in which they run. */
enum group { GROUP_PREINIT, GROUP_INIT, GROUP_NUMBERED, GROUP_PLAIN };

/* ld's get_init_priority: a number behind the last dot, all of it. */
static uint32_t suffix_number(enum section_kind kind, const char *name)
{
    static const size_t ctors = sizeof ".ctors" - 1;
    const char *dot = strrchr(name, '.');
    char *end;
    uint64_t number = strtoul(dot + 1, &end, 10);

    if (dot[1] == '\0' || *end != '\0')
        return UINT32_MAX;
    if (section_kind_is_reversed(kind) && dot == name + ctors)
        number = 65535 - number;
    return number <= INT_MAX ? (uint32_t)number : UINT32_MAX;
}

uint64_t section_kind_order(enum section_kind kind, const char *name)
{
    if (kind == SECTION_PREINIT_ARRAY)
        return (uint64_t)GROUP_PREINIT << 32;
    if (section_kind_is_piece(kind))
        return (uint64_t)GROUP_INIT << 32;
    if (!strchr(name + 1, '.'))
        return (uint64_t)GROUP_PLAIN << 32;
    return (uint64_t)GROUP_NUMBERED << 32 | suffix_number(kind, name);
}

bool section_kind_is_numbered(uint64_t order)
{
    return order >> 32 == GROUP_NUMBERED;
}
