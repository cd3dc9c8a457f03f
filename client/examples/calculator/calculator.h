/*
 * What the calculator's three files have in common: one line of its language, compiled.
 *
 *     fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)      a function of up to six parameters
 *     fib(20) * 2                                                an expression: a function of none, called once
 *     gcd[a, b] = if b = 0 then a else gcd[b, a - a / b * b]     with values in memory, and calls of such functions
 *
 * Values are 64-bit integers that wrap; operators mean what they do in C, but that `=` compares.
 */
#ifndef CALCULATOR_H
#define CALCULATOR_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#define NAME_BYTES      32
#define LOCAL_BYTES     8
#define MOST_PARAMETERS 6 /* as many as travel in registers */
#define MOST_CALLS      64
#define MOST_CODE       4096

/* Calling conventions; 0 is the C ABI. Boxed arguments lie in memory, the last one first, 16 bytes each. */
#define UNBOXED(count) (1 + (count))
#define BOXED(count)   (1 + MOST_PARAMETERS + 1 + (count))

struct call {
    char name[NAME_BYTES];
    unsigned convention;
    uint32_t at; /* its displacement is at code + at */
};

struct function {
    char name[NAME_BYTES]; /* "" for an expression */
    char parameters[MOST_PARAMETERS][NAME_BYTES];
    unsigned parameter_count;
    unsigned convention;
    uint8_t code[MOST_CODE];
    uint32_t code_bytes;
    struct call calls[MOST_CALLS];
    uint32_t call_count;
};

/* compile.c. NULL, or what is wrong with the line. Whether what it calls exists is not asked. */
const char *compile(const char *line, struct function *function);

/* Leads boxed arguments to a function that wants them unboxed, or the other way: to the one whose address is in r11. */
void compile_adapter(unsigned argument_count, bool from_boxed, struct function *function);

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
        char sections[80];
        char function[LOCAL_BYTES];          /* "f_0": what the function is called in its object */
        char calls[MOST_CALLS][LOCAL_BYTES]; /* "g_0", "g_1", ...: what its calls refer to */
    } names;
};

/* object.c. Equal code gives equal bytes, whatever the names of functions are. */
void object_make(const struct function *function, struct object *object);

#endif
