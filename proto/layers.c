#include "proto/layers.h"

#include <stddef.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/message.h"

static const struct {
    const char *name;
    bool can_be_disabled;
} rows[LAYER_COUNT] = {
    [JITD__PROTO__LAYER__LAYER_NO_NEW_PRIVILEGES] = {"no-new-privileges", false},
    [JITD__PROTO__LAYER__LAYER_SECCOMP] = {"seccomp", true},
    [JITD__PROTO__LAYER__LAYER_RLIMITS] = {"rlimits", true},
    [JITD__PROTO__LAYER__LAYER_LANDLOCK] = {"landlock", true},
    [JITD__PROTO__LAYER__LAYER_PID_NAMESPACE] = {"pid-namespace", true},
    [JITD__PROTO__LAYER__LAYER_LINKER_SECCOMP] = {"linker-seccomp", true},
    [JITD__PROTO__LAYER__LAYER_SEALS] = {"seals", false},
    [JITD__PROTO__LAYER__LAYER_CAPABILITIES] = {"capabilities", true},
    [JITD__PROTO__LAYER__LAYER_UID] = {"uid", true},
    [JITD__PROTO__LAYER__LAYER_MOUNT_NAMESPACE] = {"mount-namespace", true},
    [JITD__PROTO__LAYER__LAYER_PRIVATE_PROC] = {"private-proc", true},
    [JITD__PROTO__LAYER__LAYER_CGROUP] = {"cgroup", true},
    [JITD__PROTO__LAYER__LAYER_USER_NAMESPACE] = {"user-namespace", true},
};

const char *layer_name(unsigned layer)
{
    return layer < LAYER_COUNT ? rows[layer].name : NULL;
}

bool layer_by_name(const char *name, unsigned *layer)
{
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        if (rows[i].name != NULL && strcmp(rows[i].name, name) == 0) {
            *layer = i;
            return true;
        }
    }
    return false;
}

bool layer_can_be_disabled(unsigned layer)
{
    return layer < LAYER_COUNT && rows[layer].can_be_disabled;
}
