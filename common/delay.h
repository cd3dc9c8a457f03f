/*
 * Pauses at random, where threads and processes meet: between a store and the wake that announces it, before what was
 * found true is relied on. They make rare orders of events frequent, for tests/stress. In every other build DELAY() is
 * nothing.
 *
 * $JITD_DELAYS is the seed; each process and each thread has numbers of its own.
 */
#ifndef COMMON_DELAY_H
#define COMMON_DELAY_H

#ifdef JITD_DELAYS

/* Mostly returns at once, else sleeps for up to a millisecond. Any thread; async-signal-safe; keeps errno. */
void delay_at_random(void);
#define DELAY() delay_at_random()

#else

#define DELAY() ((void)0)

#endif

#endif
