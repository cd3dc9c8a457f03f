/*
 * What was answered, beside what the model says.
 */
#include <string.h>

#include "tests/model/drive.h"

/* ---- addresses ---- */

/* Where the address of what is meant is kept; NULL: it has none. */
static uint64_t *known_address(struct drive *drive, const struct target *target)
{
    switch (target->kind) {
    case TARGET_PROCESS:
        return &drive->process[target->name];
    case TARGET_FUNCTION:
    case TARGET_COMMON:
        return &drive->functions[target->serial][target->number];
    case TARGET_ABSOLUTE_FUNCTION:
        return &drive->page_function;
    default:
        return NULL;
    }
}

/* One of a process symbol is its adapter's, and not the same for ever. */
static bool is_way(struct drive *drive, const struct target *target, uint64_t address)
{
    const uint64_t *own = known_address(drive, target);
    uint64_t *known = &drive->ways[target->convention][target->serial][target->number];

    if (target->kind == TARGET_PROCESS)
        return address != 0 && address != *own;
    if (*known == 0)
        *known = address;
    return address != 0 && address != *own && address == *known;
}

/* The first time an address is told it is believed, from then on it must stay. */
static bool is_address(struct drive *drive, const struct target *target, uint64_t address)
{
    uint64_t *known = known_address(drive, target);

    if (target->way)
        return is_way(drive, target, address);
    if (target->kind == TARGET_ABSOLUTE)
        return address == ABSOLUTE_ADDRESS(target->serial, target->number);
    if (!known)
        return address == 0;
    if (*known == 0)
        *known = address;
    return address != 0 && address == *known;
}

static void compare_targets(struct drive *drive, const struct record *record, const struct target *targets)
{
    uint32_t count = record->operation->item_count;

    if (record->codes || record->count != count) {
        drive_differs(drive, record, "codes %llx, %zu addresses; the model has %u", (unsigned long long)record->codes,
                      record->count, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct jitd_address *address = &record->addresses[i];

        if (address->ready != targets[i].ready)
            drive_differs(drive, record, "'%s' is %sready; the model disagrees",
                          operation_name(record->operation->items[i].value), address->ready ? "" : "not ");
        if (targets[i].aliased && !targets[i].ready && address->address == 0)
            continue;
        if (!is_address(drive, &targets[i], address->address))
            drive_differs(drive, record, "'%s' is at 0x%llx; the model has target %d of unit %u entry %u",
                          operation_name(record->operation->items[i].value), (unsigned long long)address->address,
                          targets[i].kind, targets[i].serial, targets[i].number);
    }
}

/* ---- answers ---- */

static void compare_done(struct drive *drive, const struct record *record)
{
    if (record->codes)
        drive_differs(drive, record, "refused with codes %llx (missing %x); the model accepts it",
                      (unsigned long long)record->codes, record->missing);
    else if (record->operation->kind == OPERATION_CANCEL_UNITS || record->operation->kind == OPERATION_CANCEL_LOOKUP)
        if (record->count != record->answer.count)
            drive_differs(drive, record, "%zu were cancelled; the model has %u", record->count, record->answer.count);
}

static void compare_removed(struct drive *drive, const struct record *record)
{
    uint64_t codes = record->answer.failing ? 1ull << JITD_ERROR_ACTION_FAILED : 0;

    if (record->codes != codes || record->count != record->answer.count ||
        record->error_count != record->answer.failing)
        drive_differs(drive, record,
                      "codes %llx, %zu were removed, %zu of them with errors; the model has %u and %u with errors",
                      (unsigned long long)record->codes, record->count, record->error_count, record->answer.count,
                      record->answer.failing);
}

/* Who keeps a unit from being removed is named, or counted. */
static void compare_users(struct drive *drive, const struct record *record)
{
    static bool dependents[SERIALS_MOST];
    uint32_t count = model_dependents(drive->model, record->operation, dependents);

    for (uint32_t i = 0; i < record->user_count; i++)
        if (!dependents[record->users[i]])
            drive_differs(drive, record, "unit %u is said to use it; the model disagrees", record->users[i]);
    if (record->user_count + record->users_omitted != count)
        drive_differs(drive, record, "%zu units are said to use it; the model has %u",
                      record->user_count + record->users_omitted, count);
}

/* Of several reasons each is right, but all that is missing must be said. */
static void compare_refused(struct drive *drive, const struct record *record)
{
    uint64_t missing = 1ull << JITD_ERROR_SYMBOL_MISSING;

    if (!record->codes || (record->codes & ~record->answer.codes))
        drive_differs(drive, record, "codes %llx; the model refuses it with %llx", (unsigned long long)record->codes,
                      (unsigned long long)record->answer.codes);
    else if (record->answer.codes == 1ull << JITD_ERROR_DEPENDENTS)
        compare_users(drive, record);
    else if (record->answer.codes == missing && record->missing != record->answer.missing)
        drive_differs(drive, record, "missing names %x; the model has %x", record->missing, record->answer.missing);
}

static void compare_addresses(struct drive *drive, const struct record *record)
{
    compare_targets(drive, record, record->answer.targets);
}

static bool is_code_of(const struct model_unit *unit, int code)
{
    if (unit->either)
        return code == JITD_ERROR_CANCELLED || code == JITD_ERROR_DEPENDENCY_FAILED;
    return code == unit->code || (unit->alternative && code == unit->alternative);
}

static void compare_later(struct drive *drive, const struct record *record)
{
    const struct model_unit *unit = model_unit(drive->model, SERIAL(record->operation->number, 0));
    struct target targets[ITEMS_MOST];

    if (unit->state == JITD_UNIT_FAILED) {
        if (record->codes != 1ull << unit->code)
            drive_differs(drive, record, "codes %llx; the model fails it with %d", (unsigned long long)record->codes,
                          unit->code);
        return;
    }
    for (uint32_t i = 0; i < unit->use_count; i++)
        targets[i] = model_target(&unit->uses[i]);
    compare_targets(drive, record, targets);
}

static void compare_value(struct drive *drive, const struct record *record)
{
    if (!record->returned || record->value != record->answer.value)
        drive_differs(drive, record, "%s 0x%llx, codes %llx; the model has 0x%llx",
                      record->returned ? "returned" : "did not return", (unsigned long long)record->value,
                      (unsigned long long)record->codes, (unsigned long long)record->answer.value);
}

static void compare_target(struct drive *drive, const struct record *record)
{
    const struct target *target = &record->answer.targets[0];

    if (!record->returned || !is_address(drive, target, record->value))
        drive_differs(drive, record, "bound to 0x%llx, codes %llx; the model has target %d of unit %u entry %u",
                      (unsigned long long)record->value, (unsigned long long)record->codes, target->kind,
                      target->serial, target->number);
}

static void compare_end(struct drive *drive, const struct record *record)
{
    uint64_t codes = record->answer.codes, reason = record->lazy_code ? 1ull << record->lazy_code : 0;

    if (!record->ended)
        drive_differs(drive, record, "the runner did not end: codes %llx", (unsigned long long)record->codes);
    else if (codes ? (reason & codes) == 0 : reason != 0)
        drive_differs(drive, record, "a function did not come for the reason %d; the model has %llx", record->lazy_code,
                      (unsigned long long)codes);
}

static void (*const comparisons[])(struct drive *drive, const struct record *record) = {
    [ANSWER_REMOVED] = compare_removed,   [ANSWER_DONE] = compare_done,       [ANSWER_REFUSED] = compare_refused,
    [ANSWER_TARGETS] = compare_addresses, [ANSWER_LATER] = compare_later,     [ANSWER_VALUE] = compare_value,
    [ANSWER_TARGET] = compare_target,     [ANSWER_INSPECTION] = compare_done, [ANSWER_END] = compare_end,
};

/* ---- all of it ---- */

bool compare_is_due(const struct drive *drive, const struct record *record)
{
    return record->request && record->answer.kind != ANSWER_NONE && record->answer.wait.kind == WAIT_NONE &&
           !(record->answer.kind == ANSWER_LATER &&
             model_unit(drive->model, SERIAL(record->operation->number, 0))->state == JITD_UNIT_RESOLVED);
}

static bool is_told(const struct model_unit *unit, const struct news *news)
{
    return news->resolved == 1 && news->ready == (unit->state == JITD_UNIT_READY || unit->was_ready) &&
           news->failed == (unit->state == JITD_UNIT_FAILED) && news->removed == unit->removed &&
           (unit->state != JITD_UNIT_FAILED || is_code_of(unit, news->code));
}

/* Of itself, in the ledger. */
static bool has_said(const struct model_unit *unit, const struct news *news)
{
    return news->initialised <= unit->initialised && news->initialised + unit->doubtful >= unit->initialised &&
           news->finalised == unit->finalised;
}

/* Where it may not have come to the last time, what was called the time before is not kept. */
static bool is_note(const struct model_unit *unit, const struct model_note *note, const struct note *told)
{
    if (told->count == note->count)
        return told->count == 0 || told->by == note->by;
    return told->count < note->count && told->count + unit->doubtful >= note->count;
}

/* The same of its actions; the number of the first of which it is not so, or 0. */
static uint32_t find_other_note(const struct model_unit *unit, const struct news *news)
{
    for (uint32_t i = 0; i < unit->action_count && !unit->unsure; i++) {
        const struct model_action *action = &unit->actions[i];

        if (!is_note(unit, &action->made, &news->made[action->number]) ||
            !is_note(unit, &action->undone, &news->undone[action->number]))
            return action->number;
    }
    return 0;
}

static bool is_as_told(const struct drive *drive, uint32_t serial)
{
    const struct model_unit *unit = model_unit(drive->model, serial);

    return !unit || (has_said(unit, &drive->news[serial]) && !find_other_note(unit, &drive->news[serial]) &&
                     (unit->internal || is_told(unit, &drive->news[serial])));
}

bool compare_is_settled(const struct drive *drive)
{
    for (uint32_t i = 1; i < drive->record_end; i++)
        if (compare_is_due(drive, &drive->records[i]) && drive->records[i].answers == 0)
            return false;
    for (uint32_t i = 0; i < drive->model->unit_end; i++)
        if (!is_as_told(drive, i))
            return false;
    return drive->ended == drive->ends;
}

static void compare_units(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->model->unit_end; i++) {
        const struct model_unit *unit = model_unit(drive->model, i);
        const struct news *news = &drive->news[i];

        uint32_t number = unit ? find_other_note(unit, news) : 0;

        if (number)
            drive_differs(drive, NULL,
                          "unit %u: action %u was made %u times (last by %x), undone %u times (by %x); the model has "
                          "another",
                          i, number, news->made[number].count, news->made[number].by, news->undone[number].count,
                          news->undone[number].by);
        if (!is_as_told(drive, i))
            drive_differs(
                drive, NULL,
                "unit %u: told resolved %d, ready %d, failed %d with code %d, removed %d, initialised %u "
                "times, finalised %u; the model has state %d, code %d or %d, removed %d, %u (or %u fewer), %u",
                i, news->resolved, news->ready, news->failed, news->code, news->removed, news->initialised,
                news->finalised, unit->state, unit->code, unit->alternative, unit->removed, unit->initialised,
                unit->doubtful, unit->finalised);
    }
}

/* Of those that share a failure one is the first. */
static void compare_failures(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->model->unit_end; i++) {
        const struct model_unit *unit = model_unit(drive->model, i);
        uint32_t first = 0;

        if (!unit || !unit->alternative)
            continue;
        for (uint32_t other = 0; other < drive->model->unit_end; other++) {
            const struct model_unit *peer = model_unit(drive->model, other);

            if (peer && peer->failure == unit->failure && !peer->lookup)
                first += drive->news[other].code != JITD_ERROR_DEPENDENCY_FAILED;
        }
        if (first != 1)
            drive_differs(drive, NULL, "unit %u failed together with others, of which %u were the first", i, first);
    }
}

void compare_record(struct drive *drive, struct record *record)
{
    record->compared = true;
    tally_add(record);
    if (record->answers)
        comparisons[record->answer.kind](drive, record);
    else
        drive_differs(drive, record, "is not answered");
}

void compare_all(struct drive *drive)
{
    for (uint32_t i = 1; i < drive->record_end && !drive->text[0]; i++) {
        struct record *record = &drive->records[i];

        if (!record->request || record->compared)
            continue;
        if (!compare_is_due(drive, record)) {
            if (record->answers)
                drive_differs(drive, record, "answered with codes %llx; in the model it waits",
                              (unsigned long long)record->codes);
            continue;
        }
        compare_record(drive, record);
    }
    for (uint32_t i = 1; i < drive->record_end; i++)
        if (drive->records[i].answers > 1 && drive->records[i].operation->kind != OPERATION_INSPECT)
            drive_differs(drive, &drive->records[i], "answered %d times", drive->records[i].answers);
    compare_units(drive);
    compare_failures(drive);
    if (drive->questions_uncertain)
        drive->questions_expected = drive->questions;
    if (!drive->conversing && drive->questions != drive->questions_expected)
        drive_differs(drive, NULL, "%u questions were asked; the model has %u", drive->questions,
                      drive->questions_expected);
}
