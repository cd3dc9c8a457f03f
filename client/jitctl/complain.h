/*
 * What jitctl says on standard error when something is wrong: one line each, "jitctl: TEXT".
 *
 * Names come from files and from the daemon, so control characters in them are printed as \xNN: a symbol's name must
 * not be able to move the cursor of a terminal. UTF-8 passes.
 */
#ifndef JITCTL_COMPLAIN_H
#define JITCTL_COMPLAIN_H

/* The exit status of jitctl's own failures, as with env(1) and docker-run(1). */
#define EXIT_JITCTL 125

/* Prints the line. Always returns EXIT_JITCTL, so that a failing command is one `return complain(...)`. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
