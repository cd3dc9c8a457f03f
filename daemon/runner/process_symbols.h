/*
 * Writes the symbol tables of everything loaded into the template for the linker to read (proto/process_symbols.h).
 */
#ifndef RUNNER_PROCESS_SYMBOLS_H
#define RUNNER_PROCESS_SYMBOLS_H

#include <stdint.h>

#include "common/error.h"

/* Writes the file `memfd` from its beginning, and sets *bytes to what it used. Calls the resolvers of indirect
   functions: code of the libraries that the session loads. Errors: SYSTEM, NO_MEMORY, LIMIT. */
int process_symbols_write(int memfd, uint64_t *bytes, struct error *error);

#endif
