/*
 * The debug information of a relocatable object, made readable for libdw.
 *
 * Every section that a program would have in memory gets an address of its own here, with room between one and the
 * next, and debug sections are relocated against these: so a place in the object, a section's index and an offset, is
 * one address, however many sections have the same name.
 */
#ifndef JITCTL_DEBUG_OBJECT_H
#define JITCTL_DEBUG_OBJECT_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debug_object {
    void *image;         /* owned copy of the object */
    Elf *elf;            /* owned */
    Dwarf *dwarf;        /* owned; NULL: there is nothing to read */
    uint64_t *addresses; /* owned; by section index; 0: it has none */
    size_t section_count;
    const char *problem; /* why what is there cannot be read, or NULL */
};

/* False where there is nothing to read; `problem` may say why. End with debug_object_close in both cases. */
bool debug_object_open(struct debug_object *object, const void *bytes, size_t length);
void debug_object_close(struct debug_object *object);

/* False where the object has no such byte. */
bool debug_object_address(const struct debug_object *object, uint32_t section, uint64_t offset, uint64_t *address);

#endif
