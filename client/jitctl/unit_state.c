/*
 * In the order of UnitState in jitd.proto.
 */
#include "client/jitctl/unit_state.h"

const char *unit_state_name(unsigned state)
{
    static const char *const names[UNIT_STATES] = {"accepted", "resolved", "linked", "initialised",
                                                   "ready",    "failed",   "removed"};
    return state < UNIT_STATES ? names[state] : "unknown";
}
