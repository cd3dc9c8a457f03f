/*
 * States of units in words, in the order of UnitState in jitd.proto.
 */
#include "client/jitd.h"

const char *jitd_unit_state_name(unsigned state)
{
    static const char *const names[JITD_UNIT_STATES] = {"accepted", "resolved", "linked", "initialised",
                                                        "ready",    "failed",   "removed"};
    return state < JITD_UNIT_STATES ? names[state] : "unknown";
}
