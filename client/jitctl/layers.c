#include "client/jitctl/layers.h"

#include <stdbool.h>
#include <stdio.h>

#include "client/jitctl/complain.h"
#include "common/bytes.h"
#include "common/log.h"
#include "proto/layers.h"

static const struct {
    enum jitd_layer layer;
    bool of_trusted; /* profile `trusted` has it, too */
} rows[] = {
    {JITD_LAYER_NO_NEW_PRIVILEGES, true}, {JITD_LAYER_SECCOMP, true},       {JITD_LAYER_RLIMITS, true},
    {JITD_LAYER_LANDLOCK, false},         {JITD_LAYER_PID_NAMESPACE, true}, {JITD_LAYER_LINKER_SECCOMP, true},
};

void layers_complain(enum jitd_profile profile, uint32_t layers)
{
    char names[128] = "";
    size_t length = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        bool expected = rows[i].of_trusted || profile != JITD_PROFILE_TRUSTED;
        if (!expected || (layers & 1u << rows[i].layer) != 0)
            continue;
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "",
                                   layer_name(rows[i].layer));
    }
    if (length == 0)
        return;
    log_open("jitctl");
    if (log_enabled(LOG_WARN, "layers"))
        complain("warning: confined without %s, which the kernel or the daemon's command line does not provide", names);
}
