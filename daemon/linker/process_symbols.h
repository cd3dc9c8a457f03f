/*
 * The symbols of the runner's own executable and libraries, looked up as ld and ld.so do: the template has copied the
 * very tables that ld.so reads (proto/process_symbols.h), bloom filters first, so that a name that no library has costs
 * some nanoseconds and no question to anybody.
 */
#ifndef LINKER_PROCESS_SYMBOLS_H
#define LINKER_PROCESS_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct process_symbols;

struct process_symbol {
    uint64_t address;
    uint64_t bytes;
    bool function;
};

/* Maps the memfd read-only, `bytes` of which the template has written, and checks every table once. Takes the
   descriptor over, also on failure. */
int process_symbols_open(int fd, uint64_t bytes, struct process_symbols **out, struct error *error);
void process_symbols_close(struct process_symbols *symbols); /* NULL is allowed */

/* The default version of a global or weak function or object, in search order; of "name@VERSION" that version, hidden
   or not. */
bool process_symbols_find(const struct process_symbols *symbols, const char *name, struct process_symbol *out);

/* Which library an address lies in and the nearest symbol at or below it ("" where there is none). Strings are
   borrowed. Slow: for crash reports. False when in no library. */
bool process_symbols_describe(const struct process_symbols *symbols, uint64_t address, const char **library,
                              const char **function, uint64_t *offset);

#endif
