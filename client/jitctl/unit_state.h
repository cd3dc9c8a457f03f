/*
 * States of units in words.
 */
#ifndef JITCTL_UNIT_STATE_H
#define JITCTL_UNIT_STATE_H

#define UNIT_STATES 7

/* `state` is one of UnitState in jitd.proto; "unknown" for any other number. */
const char *unit_state_name(unsigned state);

#endif
