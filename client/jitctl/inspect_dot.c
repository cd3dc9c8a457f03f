/*
 * A graph for dot(1). Edges lead from a unit to what it uses (solid), waits for (bold) and misses (dashed); the colour
 * of a unit is its state, and a doubled border shows that it has adapters, which the tooltip lists. A cluster is opened
 * again for each unit of its library: DOT makes one of all with one name.
 */
#include <inttypes.h>

#include "client/jitctl/inspect_format.h"
#include "client/jitctl/name.h"

static const char *dot_colour(unsigned state)
{
    static const char *const colours[JITD_UNIT_STATES] = {"#ffe08a", "#ffd0a0", "#d8c8f0", "#c0d8f8",
                                                          "#b8e8b8", "#f4a8a8", "#dddddd"};
    return state < JITD_UNIT_STATES ? colours[state] : "white";
}

/* As good for an identifier as for a label. */
static void dot_quote(FILE *out, const char *prefix, ProtobufCBinaryData name)
{
    fprintf(out, "\"%s", prefix);
    name_print_dot(out, name.data, name.len);
    fputc('"', out);
}

static void dot_begin(struct inspect_view *view, const Jitd__Proto__Inspection *first)
{
    FILE *out = view->out;
    fprintf(out, "digraph session {\n  label=\"session %" PRIu64 "\";\n  rankdir=LR;\n", view->session->session);
    fputs("  node [shape=box, style=filled, fillcolor=white];\n", out);
    for (size_t i = 0; i < first->n_libraries; i++) {
        const Jitd__Proto__LibraryInfo *library = first->libraries[i];
        fprintf(out, "  subgraph cluster_%u { label=", library->library);
        dot_quote(out, "", library->name);
        fputs("; }\n", out);
    }
}

static void dot_node(FILE *out, const Jitd__Proto__UnitInfo *unit)
{
    fprintf(out, "  subgraph cluster_%u { u%" PRIu64 " [label=", unit->library, unit->unit);
    dot_quote(out, "", unit->name);
    fprintf(out, ", tooltip=\"unit %" PRIu64 ", %s", unit->unit, jitd_unit_state_name(unit->state));
    for (size_t i = 0; i < unit->n_adapters; i++) {
        const Jitd__Proto__AdapterInfo *adapter = unit->adapters[i];
        fprintf(out, "\\n%" PRIu64 " to %" PRIu64 ": ", adapter->wanted, adapter->given);
        name_print_dot(out, adapter->symbol.data, adapter->symbol.len);
        fprintf(out, ", %" PRIu64 " ways", adapter->ways);
    }
    fprintf(out, "\", fillcolor=\"%s\"%s]; }\n", dot_colour(unit->state), unit->n_adapters ? ", peripheries=2" : "");
}

static void dot_missing(FILE *out, uint64_t unit, ProtobufCBinaryData name)
{
    fputs("  ", out);
    dot_quote(out, "missing ", name);
    fputs(" [style=dashed, label=", out);
    dot_quote(out, "", name);
    fprintf(out, "];\n  u%" PRIu64 " -> ", unit);
    dot_quote(out, "missing ", name);
    fputs(" [style=dashed];\n", out);
}

static void dot_unit(FILE *out, const Jitd__Proto__UnitInfo *unit)
{
    dot_node(out, unit);
    for (size_t i = 0; i < unit->n_uses; i++)
        fprintf(out, "  u%" PRIu64 " -> u%" PRIu64 ";\n", unit->unit, unit->uses[i]);
    if (unit->waits_for)
        fprintf(out, "  u%" PRIu64 " -> u%" PRIu64 " [style=bold, color=red, label=\"waits\"];\n", unit->unit,
                unit->waits_for);
    for (size_t i = 0; i < unit->n_missing; i++)
        dot_missing(out, unit->unit, unit->missing[i]);
}

static void dot_units(struct inspect_view *view, const Jitd__Proto__Inspection *page)
{
    for (size_t i = 0; i < page->n_units; i++)
        dot_unit(view->out, page->units[i]);
}

static void dot_end(struct inspect_view *view)
{
    fputs("}\n", view->out);
}

const struct inspect_format inspect_dot = {NULL, dot_begin, dot_units, dot_end};
