#include "daemon/linker/waiting.h"

#include "common/bytes.h"
#include "daemon/linker/unit.h"
#include "proto/connection.h"

static uint64_t bytes_of(const struct batch *batch)
{
    uint64_t bytes = pool_memory(&batch->pool);

    if (batch->frame)
        bytes += frame_memory(batch->frame);
    for (const struct batch_mapping *mapping = batch->mappings; mapping; mapping = mapping->next)
        bytes += mapping->bytes;
    return bytes;
}

int waiting_check(const struct waiting *waiting, const struct batch *batch, struct error *error)
{
    uint64_t bytes = bytes_of(batch);

    if (waiting->bytes <= waiting->limit && bytes <= waiting->limit - waiting->bytes)
        return 0;
    if (bytes > waiting->limit)
        return error_set(error, ERROR_LIMIT,
                         "the batch takes %llu bytes until its units are ready, and a session may hold %llu at a time: "
                         "split it, or start jitd with a larger --waiting-bytes",
                         (unsigned long long)bytes, (unsigned long long)waiting->limit);
    return error_set(error, ERROR_LIMIT,
                     "%llu bytes are held by %llu units that wait; the batch would add %llu, and a session may hold "
                     "%llu: submit first what they wait for, or give batches a deadline",
                     (unsigned long long)waiting->bytes, (unsigned long long)waiting->units, (unsigned long long)bytes,
                     (unsigned long long)waiting->limit);
}

void waiting_add(struct waiting *waiting, struct batch *batch)
{
    batch->waiting = waiting;
    batch->waiting_bytes = bytes_of(batch);
    waiting->bytes += batch->waiting_bytes;
    waiting->peak = max_u64(waiting->peak, waiting->bytes);
    waiting->units += batch->unit_count;
}

void waiting_unit_done(struct batch *batch)
{
    batch->waiting->units--;
    if (batch->unfinished == 0)
        batch->waiting->bytes -= batch->waiting_bytes;
}
