/*
 * What initialisers and finalisers write to the program's standard output: each an entry (object.h). A pipe takes what
 * an answer of the daemon speaks of before that answer comes.
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

/* Those that one removal takes away are finalised in the reverse of the order in which they were initialised. */
static void enter(struct drive *drive, uint32_t entry)
{
    struct news *news = &drive->news[LEDGER_SERIAL(entry) % SERIALS_MOST];

    drive->ledger_count++;
    if (!LEDGER_IS_FINALISER(entry)) {
        news->initialised++;
        news->initialised_at = drive->ledger_count;
        return;
    }
    news->finalised++;
    if (news->initialised_at > drive->finalised_at)
        drive_differs(drive, NULL, "unit %u was finalised after one that had been initialised before it",
                      LEDGER_SERIAL(entry));
    drive->finalised_at = news->initialised_at;
}

void ledger_read(struct drive *drive)
{
    uint32_t entries[64];
    ssize_t bytes;

    while ((bytes = read(drive->ledger, entries, sizeof entries)) > 0)
        for (size_t i = 0; i < (size_t)bytes / sizeof *entries; i++)
            enter(drive, entries[i]);
}
