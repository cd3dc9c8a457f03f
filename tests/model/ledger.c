/*
 * What initialisers, finalisers and actions write to the program's standard output: each an entry (object.h). A pipe
 * takes what an answer of the daemon speaks of before that answer comes.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/model/drive.h"
#include "tests/model/object.h"

int ledger_open(struct drive *drive, int streams[3])
{
    int pipe_ends[2];
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nothing < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0 || fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) != 0)
        return -1;
    drive->ledger = pipe_ends[0];
    streams[0] = streams[2] = nothing;
    streams[1] = pipe_ends[1];
    return 0;
}

static void enter_initialised(struct drive *drive, struct news *news, const struct ledger_entry *entry)
{
    (void)entry;
    news->initialised++;
    news->initialised_at = drive->ledger_count;
}

/* Those that one removal takes away are finalised in the reverse of the order in which they were initialised, and all
   before any action is undone. */
static void enter_finalised(struct drive *drive, struct news *news, const struct ledger_entry *entry)
{
    news->finalised++;
    if (news->initialised_at > drive->finalised_at || drive->undone_at != UINT32_MAX)
        drive_differs(drive, NULL, "unit %u was finalised after one that had been initialised before it, or an action",
                      LEDGER_SERIAL(entry->what));
    drive->finalised_at = news->initialised_at;
}

/* Anew in each life, of which the ledger does not say where it begins: their order is
 * tests/integration/test_actions.c's.
 */
static void enter_made(struct drive *drive, struct news *news, const struct ledger_entry *entry)
{
    uint32_t number = LEDGER_NUMBER(entry->what);

    news->made[number].count++;
    news->made[number].by = entry->by;
    news->made_at[number] = drive->ledger_count;
    drive->undone_at = UINT32_MAX;
}

/* Those that come to be undone together in the reverse of the order in which they were made. */
static void enter_undone(struct drive *drive, struct news *news, const struct ledger_entry *entry)
{
    uint32_t number = LEDGER_NUMBER(entry->what), made_at = news->made_at[number];

    news->undone[number].count++;
    news->undone[number].by = entry->by;
    if (!made_at)
        return; /* it has no other half that says so */
    if (made_at > drive->undone_at)
        drive_differs(drive, NULL, "action %u of unit %u was undone after one that had been made before it", number,
                      LEDGER_SERIAL(entry->what));
    drive->undone_at = made_at;
}

static void enter(struct drive *drive, const struct ledger_entry *entry)
{
    static void (*const events[])(struct drive * drive, struct news * news,
                                  const struct ledger_entry *entry) = {[LEDGER_INITIALISED] = enter_initialised,
                                                                       [LEDGER_FINALISED] = enter_finalised,
                                                                       [LEDGER_MADE] = enter_made,
                                                                       [LEDGER_UNDONE] = enter_undone};

    drive->ledger_count++;
    events[LEDGER_EVENT(entry->what)](drive, &drive->news[LEDGER_SERIAL(entry->what) % SERIALS_MOST], entry);
}

void ledger_read(struct drive *drive)
{
    struct ledger_entry entries[64];
    ssize_t bytes;

    while ((bytes = read(drive->ledger, entries, sizeof entries)) > 0)
        for (size_t i = 0; i < (size_t)bytes / sizeof *entries; i++)
            enter(drive, &entries[i]);
}
