/*
 * Every error code of jitd, once.
 *
 * Programs test codes, people read texts: a code, once released, never changes its number or its meaning. The same
 * numbers travel on the wire (proto/jitd.proto, message Error) and stand in the public header (client/jitd.h); a
 * static assertion in client/error.c keeps the two lists equal.
 */
#ifndef COMMON_ERROR_CODES_H
#define COMMON_ERROR_CODES_H

/* X(NAME, number, short text) */
#define ERROR_CODES(X)                                                                                                 \
    X(OK, 0, "success")                                                                                                \
    X(PROTOCOL, 1, "malformed or unexpected message")                                                                  \
    X(VERSION, 2, "protocol version not supported")                                                                    \
    X(LIMIT, 3, "a limit was exceeded")                                                                                \
    X(NO_MEMORY, 4, "out of memory")                                                                                   \
    X(SYSTEM, 5, "a system call failed")                                                                               \
    X(UNSUPPORTED, 6, "not supported")                                                                                 \
    X(NOT_FOUND, 7, "not found")                                                                                       \
    X(INVALID, 8, "invalid argument")                                                                                  \
    X(DISCONNECTED, 9, "the other side has gone")                                                                      \
    X(TIMEOUT, 10, "time is up")                                                                                       \
    X(CANCELLED, 11, "cancelled")                                                                                      \
    X(INTERRUPTED, 12, "interrupted by a signal")                                                                      \
    X(OBJECT_FORMAT, 20, "not a usable ELF object")                                                                    \
    X(OBJECT_MACHINE, 21, "object for another machine")                                                                \
    X(OBJECT_TYPE, 22, "not a relocatable object")                                                                     \
    X(OBJECT_TRUNCATED, 23, "object ends too early")                                                                   \
    X(OBJECT_SECTION, 24, "bad section")                                                                               \
    X(OBJECT_SYMBOL, 25, "bad symbol")                                                                                 \
    X(OBJECT_RELOCATION, 26, "bad relocation")                                                                         \
    X(EXECUTABLE_STACK, 27, "object asks for an executable stack")                                                     \
    X(RELOCATION_UNSUPPORTED, 30, "relocation type not supported")                                                     \
    X(RELOCATION_RANGE, 31, "relocation out of range")                                                                 \
    X(SYMBOL_MISSING, 32, "undefined symbol")                                                                          \
    X(SYMBOL_DUPLICATE, 33, "duplicate definition")                                                                    \
    X(ARENA_FULL, 34, "the arena is full")                                                                             \
    X(DEPENDENCY_FAILED, 35, "a dependency failed")                                                                    \
    X(INITIALISER_FAILED, 36, "an initialiser failed")                                                                 \
    X(NOT_CALLABLE, 37, "not callable")                                                                                \
    X(RUNNER_ENDED, 38, "the runner ended")                                                                            \
    X(RUNNER_PROTOCOL, 39, "the runner broke the channel's rules")                                                     \
    X(SETUP, 40, "the session could not be set up")                                                                    \
    X(CONVENTION, 41, "no way from one calling convention to the other")                                               \
    X(DEPENDENTS, 42, "others depend on it")                                                                           \
    X(ACTION_FAILED, 43, "an action failed")                                                                           \
    X(LAYER_MISSING, 44, "a layer of confinement that the profile promises is missing")

#endif
