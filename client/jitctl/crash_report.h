/*
 * Crash reports: how a program that a signal ended came to its end, for people and for programs.
 *
 * A report keeps apart who says what: that it ended, and by which signal, is the kernel's word; units, functions and
 * lines are looked up in what was submitted; addresses and registers are the crashed program's own claim.
 */
#ifndef JITCTL_CRASH_REPORT_H
#define JITCTL_CRASH_REPORT_H

#include <stdio.h>

#include "client/jitctl/places.h"
#include "client/jitd.h"

/* `end` was by a signal; `program` is what to call it. */
void crash_report_print(FILE *out, const char *program, const struct jitd_end *end, struct places *places);
void crash_report_print_json(FILE *out, const char *program, const struct jitd_end *end, struct places *places);

/* Finds where the frame stands, as places_find does: the byte before a return address belongs to the call. */
size_t crash_report_locate(const struct jitd_frame *frame, struct places *places, const struct line_place **found);

#endif
