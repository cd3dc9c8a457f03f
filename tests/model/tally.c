/*
 * Whether each kind of operation meets each kind of answer, and actions all that can become of them.
 */
#include "tests/model/drive.h"

static const char *const answer_words[ANSWER_KINDS] = {
    [ANSWER_DONE] = "done",     [ANSWER_REMOVED] = "removed", [ANSWER_REFUSED] = "refused",
    [ANSWER_TARGETS] = "known", [ANSWER_LATER] = "later",     [ANSWER_VALUE] = "value",
    [ANSWER_TARGET] = "bound",  [ANSWER_INSPECTION] = "done", [ANSWER_END] = "end",
};

static uint64_t tally[OPERATION_KINDS][2][ANSWER_KINDS]; /* at once, and after it had waited for something */
static uint64_t actions_made, actions_undone, actions_failed, actions_failed_late;
static uint64_t through[3], past; /* calls that returned through so many adapters; past one */
static uint64_t refusals[OPERATION_KINDS][64];

void tally_add(const struct record *record)
{
    const struct operation *operation = record->operation;

    tally[operation->kind][record->waited][record->answer.kind]++;
    if (record->answer.kind == ANSWER_VALUE && record->answer.passed.adapters)
        through[record->answer.passed.adapters > 1 ? 2 : 1]++;
    past += record->answer.kind == ANSWER_VALUE && record->answer.passed.past;
    for (int code = 1; code < 64; code++)
        refusals[operation->kind][code] += record->codes >> code & 1;
    if (record->lazy_code > 0 && record->lazy_code < 64)
        refusals[operation->kind][record->lazy_code]++;
}

void tally_add_actions(const struct drive *drive)
{
    for (uint32_t i = 0; i < drive->model->unit_end; i++) {
        const struct model_unit *unit = &drive->model->units[i];
        bool failed = unit->state == JITD_UNIT_FAILED && unit->code == JITD_ERROR_ACTION_FAILED;

        actions_failed += failed && !unit->was_ready;
        actions_failed_late += failed && unit->was_ready;
        for (uint32_t number = 0; number < NUMBERS_MOST; number++) {
            actions_made += drive->news[i].made[number].count;
            actions_undone += drive->news[i].undone[number].count;
        }
    }
}

static void print_answers(FILE *out, const uint64_t counts[ANSWER_KINDS], const char *before)
{
    for (uint32_t answer = 0; answer < ANSWER_KINDS; answer++)
        if (counts[answer]) {
            fprintf(out, "%s %s %llu", before, answer_words[answer], (unsigned long long)counts[answer]);
            before = "";
        }
}

void tally_print(FILE *out)
{
    for (uint32_t kind = 0; kind < OPERATION_KINDS; kind++) {
        fprintf(out, "%-14s", operation_kind_name(kind));
        print_answers(out, tally[kind][0], "");
        print_answers(out, tally[kind][1], "; having waited");
        for (int code = 1; code < 64; code++)
            if (refusals[kind][code])
                fprintf(out, " %s %llu", jitd_error_name(code), (unsigned long long)refusals[kind][code]);
        fprintf(out, "\n");
    }
    fprintf(out, "actions        made %llu undone %llu; units failed %llu, in a later life %llu\n",
            (unsigned long long)actions_made, (unsigned long long)actions_undone, (unsigned long long)actions_failed,
            (unsigned long long)actions_failed_late);
    fprintf(out, "calls          through an adapter %llu, through several %llu, past one %llu\n",
            (unsigned long long)through[1], (unsigned long long)through[2], (unsigned long long)past);
}
