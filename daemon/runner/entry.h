/*
 * Functions of the runner that submitted code comes to: by their names, or as handlers that libc calls on the stack of
 * whoever called libc.
 *
 * The stack pointer of such a call is the program's own business: code of other languages, or written in assembly, may
 * have it at an odd multiple of 8 where the psABI (3.2.2) wants a multiple of 16, and much of libc does not mind. The
 * compiler stores vectors on the stack, so these functions align it first.
 */
#ifndef RUNNER_ENTRY_H
#define RUNNER_ENTRY_H

#define ENTERED __attribute__((force_align_arg_pointer))
#define EXPORT  __attribute__((visibility("default"))) ENTERED

#endif
