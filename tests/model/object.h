/*
 * A unit's object, made byte by byte: a function for each definition, which returns a number of its own, and the
 * function probe_SERIAL, which answers questions about the unit (enum mode of operation.h):
 *
 *     long probe(int question)    question: PROBE_QUESTION(entry's number, mode)
 *         ADDRESS        address of what the use is bound to
 *         CALL           what it returns, called with CALL_ARGUMENT
 *         COUNT          counts up in the unit's own data, from 0, and returns that
 *         INITIALISED    how often the unit's initialiser has run
 *
 * Initialisers and finalisers write an entry to standard output, which says who ran, and so do functions of definitions
 * that note, called as actions: whose.
 */
#ifndef TESTS_MODEL_OBJECT_H
#define TESTS_MODEL_OBJECT_H

#include "tests/model/operation.h"

#define OBJECT_BYTES_MOST 4096
#define OBJECT_NAME_BYTES 24

/* A multiple of 4 plus 1: abs and ffs give different answers, and no definition's number is one of them. */
#define CALL_ARGUMENT 77

#define PROBE_QUESTION(number, mode) ((number)*4u + (mode))

/* What the function of a definition returns. */
#define DEFINITION_VALUE(serial, number) (0x10000u + (serial)*16u + (number))

/* The same of one that adapts, when what it has called, the function in r11, has returned `value`: who went through
   which, and in what order, shows in the result. */
#define ADAPTED_VALUE(serial, number, value) ((value)*ADAPTER_FACTOR + ADAPTER_SUMMAND(serial, number))
#define ADAPTER_FACTOR                       31u
#define ADAPTER_SUMMAND(serial, number)      (0x1000000u + (serial)*256u + (number)*16u)

/* What happened; the last two to the action that is that entry of the unit. */
enum ledger_event { LEDGER_INITIALISED, LEDGER_FINALISED, LEDGER_MADE, LEDGER_UNDONE };

struct ledger_entry {
    uint32_t by;   /* MADE, UNDONE: DEFINITION_VALUE of the function */
    uint32_t what; /* LEDGER_WHAT; the argument of an action */
};

#define LEDGER_WHAT(serial, number, event) ((serial)*64u + (number)*4u + (event))
#define LEDGER_SERIAL(what)                ((what) / 64)
#define LEDGER_NUMBER(what)                ((what) / 4 % 16)
#define LEDGER_EVENT(what)                 ((enum ledger_event)((what) % 4))

/* Local and global names of entries and probes. */
void object_local_name(const struct entry *entry, char out[OBJECT_NAME_BYTES]);
void object_probe_name(uint32_t serial, char out[OBJECT_NAME_BYTES]);

/* Returns the length. */
size_t object_make(const struct unit_row *unit, uint32_t serial, uint8_t out[OBJECT_BYTES_MOST]);

#endif
