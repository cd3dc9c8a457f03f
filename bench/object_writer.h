/*
 * Relocatable objects of one function each, as `gcc -O2 -c` would make them from
 *
 *     int f(void) { return 1 + g() + h(); }
 *
 * with two, one or no callees, of a function with any number of callees, and of one that crashes. A thousand compiler
 * runs would take a minute; the bytes of these few shapes are gcc's, and only the names differ. Sections and their
 * order are gcc's too (.rela.text where there are calls, empty .data and .bss, .comment, .note.GNU-stack, .eh_frame
 * with its relocation), so that a linker has all the work that a real object brings: 1.1 to 1.3 KB.
 */
#ifndef BENCH_OBJECT_WRITER_H
#define BENCH_OBJECT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct written_object {
    char name[24];  /* of the function */
    uint8_t *bytes; /* owned; of malloc's alignment */
    size_t length;
    char callees[2][24]; /* global names of what it calls, "" where it does not; where `local`... */
    bool local;          /* ...the object's own names are f_0 and g_0, g_1, whatever it calls */
};

/* Fills *out. Callees that are NULL are left out, the second first. */
void object_write_function(struct written_object *out, const char *name, const char *first, const char *second);

/* void f(void) { g(); h(); ... }, as -fno-optimize-sibling-calls has it: names[0] calls names[1] to names[count]. */
void object_write_calls(struct written_object *out, const char *const *names, size_t count);

/* An adapter that has nothing to adapt: goes on in the function whose address is in r11. */
void object_write_adapter(struct written_object *out, const char *name);

/* void name(void) { *(volatile int *)0 = 0; } */
void object_write_crash(struct written_object *out, const char *name);

/* The tree PREFIX_0 ... PREFIX_(count-1), function i calling 2i+1 and 2i+2 where these exist: PREFIX_0 returns `count`.
   Freed with object_free_all. */
struct written_object *object_write_tree(const char *prefix, size_t count);

/* The same tree from objects whose names are their own: there are but three different ones, and a manifest says what
   each of them means. */
struct written_object *object_write_local_tree(const char *prefix, size_t count);

/* Bytes of the sections that a linker loads. */
size_t object_content(const struct written_object *object);

void object_free_all(struct written_object *objects, size_t count);

#endif
