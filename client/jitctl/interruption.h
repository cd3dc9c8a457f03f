/*
 * Signals that ask jitctl to end (SIGINT, SIGTERM, SIGHUP), as something to poll.
 */
#ifndef JITCTL_INTERRUPTION_H
#define JITCTL_INTERRUPTION_H

/* Installs the handlers, for those signals that are not ignored. Returns a descriptor that becomes readable with the
   first of them, or -1 with errno. It stays open until the process ends. */
int interruption_open(void);

/* The signal that came, or 0. */
int interruption_signal(void);

#endif
