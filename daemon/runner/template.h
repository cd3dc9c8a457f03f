/*
 * The template: prepares everything that is the same in every life of the runner, then forks one life after another.
 */
#ifndef RUNNER_TEMPLATE_H
#define RUNNER_TEMPLATE_H

#include <stdint.h>

/* Runs until the linker's end of the lifecycle socket closes, or set-up fails, which has been reported there. The masks
   are those of the command line (proto/control.h). Returns the exit status. */
int template_run(uint32_t disabled, uint32_t layers);

/* In a forked process: default dispositions and an empty mask again. */
void template_restore_signals(void);

#endif
