/*
 * Makes a sequence that differs from the model small: every candidate is performed in a session of its own.
 */
#ifndef TESTS_MODEL_SHRINK_H
#define TESTS_MODEL_SHRINK_H

#include "tests/model/drive.h"

/* Takes operations and parts of them away as long as there is a difference; returns how many are left of `count`, and
   what the last difference was. At most so many sessions are tried. */
size_t shrink(struct operation *operations, size_t count, char text[DRIVE_TEXT_BYTES], unsigned sessions);

#endif
