/*
 * The heap keeps what it has touched, since touching it again costs more than anything else that a batch does
 * (docs/performance.md). What many waiting units held goes back to the system all the same, once they are ready and the
 * session has had nothing to do for a while.
 */
#include <malloc.h>

#include "common/bytes.h"
#include "daemon/linker/session.h"

/* Less than this is kept. */
#define TRIM_BYTES MIB(2)

/* How long nothing must happen first. */
#define TRIM_QUIET_MS 100

static void on_quiet(uv_timer_t *timer)
{
    struct session *session = timer->data;

    malloc_trim(0);
    session->linker.waiting.peak = session->linker.waiting.bytes;
}

void trim_when_quiet(struct session *session)
{
    const struct waiting *waiting = &session->linker.waiting;

    if (waiting->peak - waiting->bytes >= TRIM_BYTES)
        uv_timer_start(&session->trim_timer, on_quiet, TRIM_QUIET_MS, 0);
}
