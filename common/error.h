/*
 * One error: a stable code for programs, a text for people, and the place it speaks of.
 *
 * The struct lives in the caller, so that reporting needs no memory; long names are cut, never overrun. Functions that
 * can fail take a `struct error *` as their last argument and return 0 or the (positive) code, so that the line that
 * notices a failure is one `return error_set(...)`. The pointer may be NULL where the caller wants the code alone.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <stdint.h>

#include "common/error_codes.h"

enum error_code {
#define ERROR_CODE_ENUM(name, number, text) ERROR_##name = (number),
    ERROR_CODES(ERROR_CODE_ENUM)
#undef ERROR_CODE_ENUM
};

struct error {
    int code;            /* enum error_code */
    int os;              /* errno at the failing call, or 0 */
    char text[512];      /* one line, complete without the fields below */
    char unit[192];      /* the object's name as submitted; "" where none */
    char section[96];    /* "" where none */
    uint64_t offset;     /* in that section */
    char relocation[40]; /* "R_X86_64_PC32"; "" where none */
    char symbol[256];    /* "" where none */
};

/* Sets code and text and clears everything else. Returns code. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_SYSTEM, errno's text appended after ": ". Call it before anything can change errno. */
int error_system(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "PREFIX: " before the text of an error already set. Returns its code (INVALID for NULL, whose code nobody knows:
   a caller that may be given NULL keeps its own). */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Cuts `name` to the field's size. A NULL name clears the field. Non-printable bytes become \xNN. */
void error_set_unit(struct error *error, const char *unit);
void error_set_section(struct error *error, const char *section, uint64_t offset);
void error_set_symbol(struct error *error, const char *symbol);
void error_set_relocation(struct error *error, const char *relocation);

/* "RELOCATION_RANGE"; "UNKNOWN" for a number that is no code. */
const char *error_code_name(int code);

/* The short text of the table; never NULL. */
const char *error_code_text(int code);

#endif
