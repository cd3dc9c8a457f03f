/*
 * What the calculator's three files have in common: one line of its language, compiled.
 *
 *     gcd(a, b) = if b == 0 then a else gcd(b, a % b)        a function of up to six parameters
 *     gcd(1071, 462) * 2                                     an expression: a function of none, called once
 *
 * Values are 64-bit integers that wrap; operators mean what they do in C.
 */
#ifndef CALCULATOR_H
#define CALCULATOR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NAME_BYTES      32
#define LOCAL_BYTES     16
#define MOST_PARAMETERS 6 /* as many as travel in registers */
#define MOST_CALLEES    64
#define MOST_CALLS      512
#define MOST_CODE       16384

#define FUNCTION_LOCAL "f_0" /* what the function is called in its object */

/* A function that this one calls, which may be itself. */
struct callee {
    char name[NAME_BYTES];
    unsigned argument_count;
    char local[LOCAL_BYTES]; /* what it is called in the object: g_0, g_1, ... in the order of the text */
};

/* The displacement of a call instruction, at code + at. */
struct call {
    uint32_t at;
    uint32_t callee;
};

struct function {
    char name[NAME_BYTES]; /* "" for an expression */
    char parameters[MOST_PARAMETERS][NAME_BYTES];
    unsigned parameter_count;
    uint8_t code[MOST_CODE];
    uint32_t code_bytes;
    struct callee callees[MOST_CALLEES];
    uint32_t callee_count;
    struct call calls[MOST_CALLS];
    uint32_t call_count;
};

/* compile.c. NULL, or what is wrong with the line; *where is then the place in it. Whether what it calls exists is not
   asked. */
const char *compile(const char *line, struct function *function, size_t *where);

/* object.c. Writes a relocatable ELF object; errors are the stream's. Equal code gives equal bytes, whatever the names
   of functions are. */
void object_write(const struct function *function, FILE *stream);

#endif
