/*
 * Submit: a message's units become a batch of the linker's, with their objects where the frame or a memfd has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/session.h"
#include "daemon/linker/submit_manifest.h"

/* Memory for one batch's tables: a multiple of its objects' bytes, so that a small frame cannot ask for a large heap.
 */
#define BATCH_BUDGET_FLOOR  MIB(64)
#define BATCH_BUDGET_FACTOR 16

static int map_object(struct batch *batch, int fd, struct link_input *input, struct error *error)
{
    const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & wanted) != wanted)
        return error_set(error, ERROR_INVALID,
                         "the object's descriptor is not a memfd sealed against writing, "
                         "shrinking and growing");
    if (fstat(fd, &status) != 0)
        return error_system(error, "asking for the object's size");
    if (status.st_size <= 0 || (uint64_t)status.st_size > LIMIT_OBJECT_BYTES)
        return error_set(error, ERROR_LIMIT, "an object of %lld bytes; at most %llu are taken",
                         (long long)status.st_size, LIMIT_OBJECT_BYTES);
    struct batch_mapping *mapping = pool_allocate(&batch->pool, sizeof *mapping);
    if (!mapping)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the batch");
    mapping->bytes = (uint64_t)status.st_size;
    mapping->view = mmap(NULL, mapping->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping->view == MAP_FAILED)
        return error_system(error, "mapping the object");
    mapping->next = batch->mappings;
    batch->mappings = mapping;
    input->object = mapping->view;
    input->object_bytes = mapping->bytes;
    return 0;
}

static int find_object(struct batch *batch, const Jitd__Proto__Unit *unit, bool has_manifest, struct link_input *input,
                       struct error *error)
{
    const struct frame *frame = batch->frame;

    if (unit->object_case == JITD__PROTO__UNIT__OBJECT_DESCRIPTOR) {
        if (unit->descriptor >= frame->header.descriptors)
            return error_set(error, ERROR_INVALID, "descriptor %u of %u", unit->descriptor, frame->header.descriptors);
        return map_object(batch, frame->fds[unit->descriptor], input, error);
    }
    if (unit->object_case != JITD__PROTO__UNIT__OBJECT_RANGE || !unit->range)
        return has_manifest ? 0 : error_set(error, ERROR_INVALID, "a unit with neither object nor manifest");
    if (unit->range->offset % 16 != 0 ||
        !range_within(unit->range->offset, unit->range->bytes, frame->header.attachment_bytes))
        return error_set(error, ERROR_INVALID,
                         "bytes %llu at %llu of an attachment of %u (offsets are multiples of 16)",
                         (unsigned long long)unit->range->bytes, (unsigned long long)unit->range->offset,
                         frame->header.attachment_bytes);
    input->object = frame->attachment + unit->range->offset;
    input->object_bytes = unit->range->bytes;
    return 0;
}

static int check_unit_name(const ProtobufCBinaryData *name, struct error *error)
{
    if (name->len > 0 && name->len <= LIMIT_UNIT_NAME_BYTES && !memchr(name->data, '\0', name->len))
        return 0;
    return error_set(error, ERROR_INVALID, "a unit's name is empty, too long or contains a NUL byte");
}

static void report_unit(struct report *report, const Jitd__Proto__Unit *unit, struct error *error)
{
    char shown[192];

    log_escape(shown, sizeof shown, unit->name.data, unit->name.len);
    error_prefix(error, "%s", shown);
    error_set_unit(error, shown);
    report_add(report, error);
}

/* Non-zero: what follows in the entries cannot be told any more. */
static int find_input(struct batch *batch, const Jitd__Proto__Unit *unit, struct submit_entries *entries,
                      struct link_input *input, struct report *report)
{
    struct error error;

    *input = (struct link_input){.name = (const char *)unit->name.data,
                                 .name_length = unit->name.len,
                                 .library = unit->library,
                                 .tag = unit->tag};
    int code = check_unit_name(&unit->name, &error);
    if (!code)
        code = find_object(batch, unit, unit->manifest || submit_has_entries(entries), input, &error);
    if (code)
        report_unit(report, unit, &error);
    code = submit_manifest(entries, unit, input->object || code, &input->manifest, &error);
    if (code)
        report_unit(report, unit, &error);
    return code;
}

static int find_inputs(struct session *session, struct batch *batch, const Jitd__Proto__Submit *submit,
                       struct link_input *inputs, struct report *report)
{
    struct submit_entries entries;
    struct error error;
    int code = submit_entries_open(&entries, submit->entries, submit->n_units, &session->decode, &error), found = 0;

    for (size_t i = 0; i < submit->n_units && !code && !found; i++)
        found = find_input(batch, submit->units[i], &entries, &inputs[i], report);
    if (code)
        report_add(report, &error);
    return report_code(report);
}

static struct batch *open_batch(struct frame *frame, size_t units, struct link_input **inputs, struct report *report)
{
    struct batch *batch = NULL;
    struct error error;

    if (units == 0 || units > LIMIT_UNITS_PER_BATCH)
        error_set(&error, ERROR_LIMIT, "a batch of %zu units; 1 to %d are taken", units, LIMIT_UNITS_PER_BATCH);
    else {
        batch = batch_new(frame, BATCH_BUDGET_FLOOR + BATCH_BUDGET_FACTOR * (size_t)frame->header.attachment_bytes);
        *inputs = batch ? pool_allocate_array(&batch->pool, units, sizeof **inputs) : NULL;
        if (*inputs)
            return batch;
        error_set(&error, ERROR_NO_MEMORY, "no memory for a batch of %zu units", units);
    }
    batch_free(batch);
    report_add(report, &error);
    return NULL;
}

static void send_submitted(struct session *session, uint64_t request, const struct batch *batch)
{
    Jitd__Proto__Submitted message = JITD__PROTO__SUBMITTED__INIT;

    pool_reset(&session->encode);
    message.units = pool_allocate_array(&session->encode, batch->unit_count, sizeof *message.units);
    for (uint32_t i = 0; i < batch->unit_count && message.units; i++)
        message.units[message.n_units++] = batch->units[i]->id;
    session_send(session, MESSAGE_SUBMITTED, request, &message.base);
}

void submit_request(struct session *session, struct frame *frame, const Jitd__Proto__Submit *submit)
{
    struct link_input *inputs = NULL;
    struct report report = {0};
    struct batch *batch = open_batch(frame, submit->n_units, &inputs, &report);

    if (batch) {
        batch->closed = submit->closed;
        batch->atomic = submit->atomic;
        batch->report_addresses = submit->report_addresses;
        batch->deadline_ms = submit->deadline_ms;
        if (find_inputs(session, batch, submit, inputs, &report) != 0)
            batch_free(batch);
        else if (link_submit(&session->linker, batch, inputs, (uint32_t)submit->n_units, &report) == 0) {
            uint64_t first = batch->units[0]->id;

            send_submitted(session, frame->header.request, batch);
            link_run(&session->linker, batch);
            if (submit->deadline_ms)
                deadline_add(session, first, (uint32_t)submit->n_units, submit->deadline_ms);
        }
    }
    if (report.count || report.omitted)
        session_fail_report(session, frame->header.request, &report);
    report_fini(&report);
}

bool submit_one(struct session *session, struct frame *frame, Jitd__Proto__Unit *unit, Jitd__Proto__Entries *entries,
                uint32_t deadline_ms, struct unit_waiter *waiter, struct report *report)
{
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    struct link_input *input = NULL;
    struct batch *batch = open_batch(frame, 1, &input, report);

    if (!batch)
        return false;
    submit.units = &unit;
    submit.n_units = 1;
    submit.entries = entries;
    batch->closed = true;
    batch->deadline_ms = deadline_ms;
    if (find_inputs(session, batch, &submit, input, report) != 0) {
        batch_free(batch);
        return false;
    }
    return submit_internal(session, batch, input, waiter, report);
}

bool submit_internal(struct session *session, struct batch *batch, const struct link_input *input,
                     struct unit_waiter *waiter, struct report *report)
{
    if (link_submit(&session->linker, batch, input, 1, report) != 0)
        return false;
    waiter->unit = batch->units[0];
    waiter->unit->internal = true;
    waiter->unit->pending->waiter = waiter;
    if (batch->deadline_ms)
        deadline_add(session, waiter->unit->id, 1, batch->deadline_ms);
    link_run(&session->linker, batch);
    return true;
}
