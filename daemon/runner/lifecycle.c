/*
 * One packet a message; this end is the template's, before it forks or after.
 */
#include "daemon/runner/lifecycle.h"

#include "common/descriptor.h"
#include "daemon/runner/stage.h"

bool lifecycle_send(const struct lifecycle *message)
{
    return descriptor_send(FD_LIFECYCLE, message, sizeof *message, NULL, 0) == (ssize_t)sizeof *message;
}

bool lifecycle_receive(struct lifecycle *message)
{
    size_t descriptors = 0;
    return descriptor_receive(FD_LIFECYCLE, message, sizeof *message, NULL, 0, &descriptors) ==
           (ssize_t)sizeof *message;
}

void lifecycle_report_failure(const char *stage, int os)
{
    struct lifecycle failed = {.kind = LIFECYCLE_TEMPLATE_FAILED, .value = os};
    stage_copy(failed.stage, sizeof failed.stage, stage);
    lifecycle_send(&failed);
}
