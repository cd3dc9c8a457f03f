/*
 * Random operations on real sessions, each answer compared with a model's.
 *
 *     O=build MODEL_SEED=1 MODEL_OPS=100000 build/test/model      a seed's sessions, one after another
 *     O=build MODEL_REPLAY=FILE build/test/model                  the operations of a file, in one session
 *
 * With MODEL_TALLY=1 it prints how often which operation was answered how: each kind should be, in every way.
 *
 * Where a session differs from the model its operations are made few, written to model-SEED.txt in $O and printed, and
 * the program ends with 1.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/drive.h"
#include "tests/model/generate.h"
#include "tests/model/shrink.h"

#define SHRINKING_SESSIONS 3000

#ifdef JITD_SANITIZED
#define DEFAULT_OPERATIONS 20000
#else
#define DEFAULT_OPERATIONS 100000
#endif

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void write_all(FILE *out, const struct operation *operations, size_t count, const char *text)
{
    fprintf(out, "# %s\n", text);
    for (size_t i = 0; i < count; i++)
        operation_write(out, &operations[i]);
}

/* For MODEL_REPLAY; again each time that there are fewer. */
static void write_file(uint64_t seed, const struct operation *operations, size_t count, const char *text)
{
    const char *build = getenv("O");
    char path[4096];

    snprintf(path, sizeof path, "%s/model-%llu.txt", build ? build : "build", (unsigned long long)seed);
    FILE *file = fopen(path, "w");
    printf("%s: MODEL_REPLAY=%s\n", file ? "written" : "not written", path);
    fflush(stdout);
    if (!file)
        return;
    write_all(file, operations, count, text);
    fclose(file);
}

static void report(uint64_t seed, uint64_t session, struct operation *operations, size_t count,
                   char text[DRIVE_TEXT_BYTES])
{
    printf("session %llu differs: %s\n", (unsigned long long)session, text);
    write_file(seed, operations, count, text);
    count = shrink(operations, count, text, SHRINKING_SESSIONS);
    write_file(seed, operations, count, text);
    write_all(stdout, operations, count, text);
}

static int replay(const char *path)
{
    struct operation *operations = calloc(OPERATIONS_MOST, sizeof *operations);
    FILE *file = fopen(path, "r");
    char text[DRIVE_TEXT_BYTES];

    if (!file || !operations) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 2;
    }
    size_t count = operation_read_all(file, operations, OPERATIONS_MOST);
    bool same = count && drive_run(operations, count, DRIVE_PATIENCE_FIRST, text);
    printf("%s: %zu operations: %s\n", path, count, same ? "as the model says" : count ? text : "none");
    fclose(file);
    free(operations);
    return same ? 0 : 1;
}

/* Sessions of many lengths: long ones fill up with what stands, short ones begin often. */
static size_t session_length(uint64_t seed)
{
    static const size_t lengths[] = {20, 40, 60, 100, 160, 300};

    return lengths[generate_seed(seed, 7) % (sizeof lengths / sizeof *lengths)];
}

static int run(uint64_t seed, uint64_t wanted)
{
    struct operation *operations = calloc(OPERATIONS_MOST, sizeof *operations);
    uint64_t done = 0, sessions = 0;
    char text[DRIVE_TEXT_BYTES];

    if (!operations)
        return 2;
    printf("MODEL_SEED=%llu MODEL_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)wanted);
    fflush(stdout);
    for (; done < wanted; sessions++) {
        uint64_t own = generate_seed(seed, sessions);
        size_t count = session_length(own);

        generate_session(own, operations, count);
        if (!drive_run(operations, count, DRIVE_PATIENCE_FIRST, text)) {
            report(seed, sessions, operations, count, text);
            free(operations);
            return 1;
        }
        done += count;
    }
    printf("%llu operations in %llu sessions, all as the model says\n", (unsigned long long)done,
           (unsigned long long)sessions);
    if (number_of("MODEL_TALLY", 0))
        tally_print(stdout);
    free(operations);
    return 0;
}

int main(void)
{
    const char *path = getenv("MODEL_REPLAY");

    if (path && path[0])
        return replay(path);
    return run(number_of("MODEL_SEED", 1), number_of("MODEL_OPS", DEFAULT_OPERATIONS));
}
