/*
 * What names mean: searching libraries, contending inside a batch.
 */
#include <string.h>

#include "tests/model/model.h"

struct space {
    uint32_t library;
    bool hidden;
};

struct space_list {
    struct space spaces[2 * LIBRARIES_MOST];
    uint32_t count;
};

/* Each namespace is searched once. */
static bool add_space(struct space_list *list, uint32_t library, bool hidden)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->spaces[i].library == library && list->spaces[i].hidden == hidden)
            return false;
    list->spaces[list->count++] = (struct space){library, hidden};
    return true;
}

/* What a library exports and, breadth first, re-exports. */
static void add_exports(const struct model *model, struct space_list *list, uint32_t library)
{
    uint32_t queue[LIBRARIES_MOST], count = 0;

    if (add_space(list, library, false))
        queue[count++] = library;
    for (uint32_t at = 0; at < count; at++) {
        const struct operation *definition = &model->libraries[queue[at]].definition;

        for (uint32_t i = 0; i < definition->search_count; i++)
            if (definition->searches[i].re_export && add_space(list, definition->searches[i].library, false))
                queue[count++] = definition->searches[i].library;
    }
}

static struct space_list list_spaces(const struct model *model, uint32_t library, bool exact)
{
    const struct operation *definition = &model->libraries[library].definition;
    struct space_list list = {.count = 0};

    if (exact) {
        add_exports(model, &list, library);
        return list;
    }
    add_space(&list, library, true);
    add_space(&list, library, false);
    for (uint32_t i = 0; i < definition->search_count; i++) {
        if (definition->searches[i].hidden)
            add_space(&list, definition->searches[i].library, true);
        add_exports(model, &list, definition->searches[i].library);
    }
    return list;
}

static bool has_process_symbol(const struct model *model, uint32_t library, uint32_t name)
{
    const struct operation *definition = &model->libraries[library].definition;

    return IS_PROCESS(name) &&
           (definition->process == JITD_PROCESS_ALL ||
            (definition->process == JITD_PROCESS_LISTED && (definition->process_names & (1u << name))));
}

struct bound model_search(const struct model *model, const struct model_use *use, const struct model_table *contest)
{
    struct space_list list = list_spaces(model, use->library, use->exact);

    for (uint32_t i = 0; i < list.count; i++) {
        const struct space *space = &list.spaces[i];
        const struct model_definition *found = model->table.entries[space->library][space->hidden][use->name];

        if (!found && contest)
            found = contest->entries[space->library][space->hidden][use->name];
        if (found)
            return (struct bound){BOUND_DEFINITION, found};
    }
    bool process = !use->exact && has_process_symbol(model, use->library, use->name);
    return (struct bound){process ? BOUND_PROCESS : BOUND_NOTHING, NULL};
}

/* ---- submitting ---- */

struct submission {
    struct model *model;
    const struct operation *operation;
    uint32_t first, count; /* of its units */
    struct unit_row rows[UNITS_MOST];
    struct model_unit *units[UNITS_MOST];
    struct model_table contest;
    struct answer *answer;
};

static void refuse(struct submission *submission, int code)
{
    submission->answer->kind = ANSWER_REFUSED;
    submission->answer->codes |= 1ull << code;
}

static void refuse_missing(struct submission *submission, uint32_t name)
{
    refuse(submission, JITD_ERROR_SYMBOL_MISSING);
    submission->answer->missing |= 1u << name;
}

/* What can be said of a unit without looking at any name. */
static void check_unit(struct submission *submission, uint32_t index)
{
    const struct unit_row *row = &submission->rows[index];

    if (!submission->model->libraries[row->library].exists)
        refuse(submission, JITD_ERROR_NOT_FOUND);
    for (uint32_t i = 0; i < row->entry_count; i++)
        if (row->entries[i].library && !submission->model->libraries[row->entries[i].library - 1].exists)
            refuse(submission, JITD_ERROR_NOT_FOUND);
}

static void enter_unit(struct submission *submission, uint32_t index)
{
    uint32_t serial = SERIAL(submission->operation->number, submission->first + index);
    struct model_unit *unit = &submission->model->units[serial];

    *unit = (struct model_unit){.serial = serial,
                                .library = submission->rows[index].library,
                                .no_object = submission->rows[index].no_object,
                                .data = submission->rows[index].data,
                                .tag = submission->rows[index].tag};
    submission->units[index] = unit;
}

/* ---- definitions ---- */

static void add_definition(struct model_unit *unit, const struct entry *entry)
{
    unit->definitions[unit->definition_count++] =
        (struct model_definition){.unit = unit,
                                  .kind = entry->kind,
                                  .name = entry->name,
                                  .number = entry->number,
                                  .local = entry->unlisted,
                                  .hidden = entry->hidden,
                                  .common = entry->common,
                                  .function = entry->function,
                                  .convention = entry->convention,
                                  .redirectable = entry->redirectable,
                                  .notes = entry->notes,
                                  .adapts = entry->adapts,
                                  .strength = entry->common ? STRENGTH_COMMON
                                              : entry->weak ? STRENGTH_WEAK
                                                            : STRENGTH_STRONG};
}

static bool is_strong(const struct model_definition *definition)
{
    return definition && definition->strength == STRENGTH_STRONG;
}

/* Against earlier batches what is bound stands, inside the batch the first of the strongest. A library has no two
   strong definitions of a name, one of them hidden or not. */
static void contend(struct submission *submission, const struct model_definition *definition)
{
    const struct model_table *table = &submission->model->table;
    struct model_table *contest = &submission->contest;
    uint32_t library = definition->unit->library, hidden = definition->hidden, name = definition->name;
    const struct model_definition *standing = table->entries[library][hidden][name];
    const struct model_definition **winner = &contest->entries[library][hidden][name];
    bool sibling =
        is_strong(table->entries[library][!hidden][name]) || is_strong(contest->entries[library][!hidden][name]);

    if (definition->local)
        return;
    if (is_strong(definition) && (is_strong(standing) || is_strong(*winner) || (sibling && !standing)))
        refuse(submission, JITD_ERROR_SYMBOL_DUPLICATE);
    if (!standing && (!*winner || definition->strength > (*winner)->strength))
        *winner = definition;
}

/* The object's first, then the rest of the manifest's. */
static void offer(struct submission *submission, uint32_t index)
{
    static const enum entry_kind order[] = {ENTRY_DEFINE, ENTRY_ABSOLUTE, ENTRY_ALIAS, ENTRY_LAZY};
    const struct unit_row *row = &submission->rows[index];
    struct model_unit *unit = submission->units[index];

    for (size_t kind = 0; kind < sizeof order / sizeof *order; kind++)
        for (uint32_t i = 0; i < row->entry_count; i++)
            if (row->entries[i].kind == order[kind])
                add_definition(unit, &row->entries[i]);
    for (uint32_t i = 0; i < unit->definition_count; i++)
        contend(submission, &unit->definitions[i]);
    for (uint32_t i = 0; i < row->entry_count; i++)
        if (row->entries[i].repeated || (row->entries[i].kind == ENTRY_DEFINE && row->entries[i].absent))
            refuse(submission, JITD_ERROR_INVALID);
}

static bool stands(const struct submission *submission, const struct model_definition *definition)
{
    return submission->contest.entries[definition->unit->library][definition->hidden][definition->name] == definition;
}

/* Only what is called can be replaced. */
static void check_redirectable(struct submission *submission, uint32_t index)
{
    const struct model_unit *unit = submission->units[index];

    for (uint32_t i = 0; i < unit->definition_count; i++)
        if (unit->definitions[i].redirectable && unit->definitions[i].common &&
            stands(submission, &unit->definitions[i]))
            refuse(submission, JITD_ERROR_INVALID);
}

/* ---- uses ---- */

/* A name that the manifest does not speak of can only be a process symbol. */
static bool is_implicit(const struct unit_row *row, const struct entry *entry)
{
    return entry->kind == ENTRY_USE && entry->unlisted && !operation_own_definition(row, entry);
}

static void check_implicit(struct submission *submission, uint32_t index)
{
    const struct unit_row *row = &submission->rows[index];

    for (uint32_t i = 0; i < row->entry_count; i++) {
        const struct entry *entry = &row->entries[i];

        if (is_implicit(row, entry) && !entry->weak &&
            !has_process_symbol(submission->model, row->library, entry->name))
            refuse_missing(submission, entry->name);
    }
}

static struct model_use *add_use(struct model_unit *unit, const struct entry *entry)
{
    struct model_use *use = &unit->uses[unit->use_count++];
    bool alias = entry->kind == ENTRY_ALIAS || entry->kind == ENTRY_LAZY;

    *use = (struct model_use){.name = alias ? entry->target : entry->name,
                              .number = entry->number,
                              .serial = unit->serial,
                              .library = entry->library ? entry->library - 1 : unit->library,
                              .exact = entry->library != 0,
                              .weak = !alias && entry->weak,
                              .referenced = entry->kind == ENTRY_USE,
                              .direct = entry->call,
                              .called = !alias,
                              .convention = entry->convention};
    return use;
}

static struct model_definition *find_definition(struct model_unit *unit, const struct entry *entry)
{
    for (uint32_t i = 0; i < unit->definition_count; i++)
        if (unit->definitions[i].number == entry->number)
            return &unit->definitions[i];
    return NULL;
}

/* What the runner's libraries or the unit itself have is never looked for again. */
static void bind_searched(struct submission *submission, struct model_use *use, bool lazy)
{
    use->bound = model_search(submission->model, use, &submission->contest);
    if (use->bound.kind == BOUND_PROCESS && use->called && use->convention &&
        !model_adapter(submission->model, use->convention, 0))
        refuse(submission, JITD_ERROR_CONVENTION);
    if (lazy && use->bound.kind != BOUND_PROCESS &&
        !(use->bound.kind == BOUND_DEFINITION && use->bound.definition->unit->serial == use->serial))
        use->bound = (struct bound){BOUND_LAZY, NULL};
    if (use->bound.kind != BOUND_NOTHING)
        return;
    if (use->weak)
        use->bound.kind = BOUND_ZERO;
    else if (submission->operation->closed)
        refuse_missing(submission, use->name);
}

static void bind_use(struct submission *submission, uint32_t index, const struct entry *entry)
{
    const struct unit_row *row = &submission->rows[index];
    struct model_unit *unit = submission->units[index];
    const struct entry *own = entry->kind == ENTRY_USE ? operation_own_definition(row, entry) : NULL;
    struct model_use *use = add_use(unit, entry);

    if (own && own->unlisted)
        use->bound = (struct bound){BOUND_DEFINITION, find_definition(unit, own)};
    else if (is_implicit(row, entry))
        use->bound.kind = has_process_symbol(submission->model, row->library, entry->name) ? BOUND_PROCESS : BOUND_ZERO;
    else if (entry->kind == ENTRY_LAZY)
        use->bound.kind = BOUND_LAZY;
    else
        bind_searched(submission, use, entry->lazy);
    if (entry->kind == ENTRY_ALIAS || entry->kind == ENTRY_LAZY)
        find_definition(unit, entry)->alias_of = use;
}

static void bind_call(struct submission *submission, struct model_unit *unit, const struct entry *entry, uint32_t name,
                      const struct model_use **out)
{
    struct model_use *use = add_use(unit, entry);

    use->name = name;
    use->action = true;
    bind_searched(submission, use, false);
    *out = use;
}

static void bind_action(struct submission *submission, uint32_t index, const struct entry *entry)
{
    struct model_unit *unit = submission->units[index];
    struct model_action *action = &unit->actions[unit->action_count++];

    action->number = entry->number;
    if (entry->half != HALF_REMOVE)
        bind_call(submission, unit, entry, entry->name, &action->publish);
    if (entry->half != HALF_PUBLISH)
        bind_call(submission, unit, entry, entry->target, &action->remove);
}

static void bind_uses(struct submission *submission, uint32_t index)
{
    const struct unit_row *row = &submission->rows[index];

    for (uint32_t i = 0; i < row->entry_count; i++) {
        uint32_t kind = row->entries[i].kind;

        if (kind == ENTRY_ALIAS || kind == ENTRY_AWAIT || kind == ENTRY_LAZY ||
            (kind == ENTRY_USE && !row->entries[i].absent))
            bind_use(submission, index, &row->entries[i]);
        if (kind == ENTRY_ACTION)
            bind_action(submission, index, &row->entries[i]);
    }
}

/* ---- all of a batch ---- */

/* An atomic batch is one thing; of a closed one the units with initialisers are. */
static bool is_grouped(const struct submission *submission, uint32_t index)
{
    return submission->operation->atomic ||
           (submission->operation->closed && submission->rows[index].data >= DATA_INITIALISER);
}

static void commit(struct submission *submission)
{
    struct model *model = submission->model;

    for (uint32_t u = 0; u < submission->count; u++) {
        struct model_unit *unit = submission->units[u];

        unit->exists = true;
        unit->state = JITD_UNIT_RESOLVED;
        unit->group = is_grouped(submission, u) ? submission->operation->number : 0;
        model->unit_end = unit->serial + 1;
        for (uint32_t i = 0; i < unit->definition_count; i++) {
            struct model_definition *definition = &unit->definitions[i];

            definition->stands = stands(submission, definition);
            if (definition->stands)
                model->table.entries[unit->library][definition->hidden][definition->name] = definition;
        }
    }
}

void model_submit(struct model *model, const struct operation *operation, uint32_t first, uint32_t count,
                  struct answer *answer)
{
    /* Each for all units before the next; a batch that is refused says all that is wrong of one kind. */
    static void (*const phases[])(struct submission * submission, uint32_t index) = {check_unit, offer, check_implicit,
                                                                                     check_redirectable, bind_uses};
    static const bool decides[] = {true, false, true, true, true};
    struct submission submission = {
        .model = model, .operation = operation, .first = first, .count = count, .answer = answer};

    for (uint32_t u = 0; u < count; u++) {
        submission.rows[u] = operation_unit(operation, first + u);
        enter_unit(&submission, u);
    }
    for (size_t phase = 0; phase < sizeof phases / sizeof *phases; phase++) {
        for (uint32_t u = 0; u < count; u++)
            phases[phase](&submission, u);
        if (decides[phase] && answer->kind == ANSWER_REFUSED)
            return;
    }
    commit(&submission);
    answer->kind = ANSWER_DONE;
}
