/*
 * A calculator whose functions are compiled and run by jitd: a compiler of one language, line by line. To be read from
 * here on: compile.c makes code of a line, object.c an ELF object of the code, and calculator.c hands that to jitd.
 *
 *     fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)      a function of up to six parameters
 *     fib(20) * 2                                                an expression: a function of none, called once
 *     gcd[a, b] = if b = 0 then a else gcd[b, a - a / b * b]     with boxed values, and calls of such functions
 *     gcd(12, 18)                                                gets there through an adapter
 *     gcd -> better                                              puts another function in the place of a boxed one
 *
 * Values are 64-bit integers that wrap; operators mean what they do in C, but that `=` compares.
 */
#ifndef CALCULATOR_H
#define CALCULATOR_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#define NAME_BYTES      32
#define LOCAL_BYTES     16
#define MOST_PARAMETERS 6 /* as many as travel in registers */
#define MOST_CALLS      64
#define MOST_CODE       4096
#define MOST_LINE       1000 /* this bounds how deep the compiler recurses, too */

/* Calling conventions; 0 is the C ABI. Unboxed values travel in registers, as in C. Boxed ones lie on the stack, each
   in 16 bytes, the first one highest: rdi leads there. */
#define UNBOXED(count) (1 + (count))
#define BOXED(count)   (1 + MOST_PARAMETERS + 1 + (count))

struct call {
    char name[NAME_BYTES];
    unsigned convention;
    uint32_t at; /* its displacement is at code + at */
};

/* A line: its text, and the function that it becomes. */
struct line {
    const char *at;    /* the text; the parser goes along it */
    const char *error; /* what is wrong with it, or NULL... */
    const char *error_at;
    char name[NAME_BYTES];                            /* "" for an expression */
    char parameters[MOST_PARAMETERS + 1][NAME_BYTES]; /* the last one is too many */
    unsigned parameter_count;
    unsigned convention; /* 0 for an expression */
    uint8_t code[MOST_CODE];
    uint32_t code_bytes;
    struct call calls[MOST_CALLS];
    uint32_t call_count;
};

/* compile.c. Whether what the line calls exists is not asked. */
void compile(struct line *line, const char *text);

/* Leads boxed arguments to a function that wants them unboxed, or the other way: to the one whose address is in r11. */
void compile_adapter(struct line *line, bool from_boxed);

enum { TEXT = 1, TEXT_RELOCATIONS, EH_FRAME, EH_FRAME_RELOCATIONS, STACK_NOTE, SYMBOLS, NAMES, SECTIONS };
enum { SYMBOL_TEXT = 1, SYMBOL_FUNCTION, SYMBOL_CALLS };

/* A relocatable ELF object, as it lies in a file. ELF leaves it open where in a file its parts are, and how far apart:
   with room for the longest function the layout is a C structure. */
struct object {
    Elf64_Ehdr header;
    Elf64_Shdr sections[SECTIONS];
    uint8_t code[MOST_CODE];
    uint8_t frame[64];
    Elf64_Rela unwind; /* of the frame */
    Elf64_Rela calls[MOST_CALLS];
    Elf64_Sym symbols[SYMBOL_CALLS + MOST_CALLS];
    struct {
        char sections[SECTIONS][16];
        char function[LOCAL_BYTES];          /* "f_0": what the function is called in its object */
        char calls[MOST_CALLS][LOCAL_BYTES]; /* "g_0", "g_1", ...: what its calls refer to */
    } names;
};

/* object.c. Equal code gives equal bytes, whatever the names of functions are. */
void object_make(struct object *object, const struct line *line);

#endif
