/*
 * Signals in words.
 */
#ifndef JITCTL_SIGNAL_TEXT_H
#define JITCTL_SIGNAL_TEXT_H

/* "SIGSEGV"; "signal" for a number without a name. */
const char *signal_text_name(int number, char out[32]);

/* "Segmentation fault"; never NULL. */
const char *signal_text_meaning(int number);

/* What si_code says of the cause, "address not mapped"; NULL where it says nothing worth printing. */
const char *signal_text_cause(int number, int code);

#endif
