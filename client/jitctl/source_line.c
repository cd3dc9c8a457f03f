/*
 * Line tables through libdwfl, which relocates the debug sections of an object as if it were loaded.
 *
 * libdwfl reads files, not memory, so the object goes into a memfd: an archive's member has no file of its own, and
 * what ran is what was submitted, whatever has become of the file. Nothing is looked for elsewhere: separate debug
 * files do not exist for objects, and the standard search may ask servers on the network.
 */
#include "client/jitctl/source_line.h"

#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct source_lines {
    Dwfl *dwfl;          /* owned */
    Dwfl_Module *module; /* owned by dwfl */
};

static int source_lines_no_debug_file(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                                      const char *file, const char *link, GElf_Word checksum, char **found)
{
    (void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)checksum, (void)found;
    return -1;
}

static const Dwfl_Callbacks source_lines_callbacks = {
    .find_debuginfo = source_lines_no_debug_file,
    .section_address = dwfl_offline_section_address,
};

static int source_lines_make_file(const void *bytes, size_t length)
{
    int fd = memfd_create("jitctl-object", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(fd, (const char *)bytes + done, length - done);
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)wrote;
    }
    return fd;
}

struct source_lines *source_lines_open(const char *name, const void *bytes, size_t length)
{
    struct source_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return NULL;
    int fd = source_lines_make_file(bytes, length);
    if (fd < 0)
        goto failed;
    lines->dwfl = dwfl_begin(&source_lines_callbacks);
    if (!lines->dwfl)
        goto failed;
    lines->module = dwfl_report_offline(lines->dwfl, name, name, fd);
    if (!lines->module)
        goto failed;
    /* The descriptor is the module's from here on. */
    dwfl_report_end(lines->dwfl, NULL, NULL);
    return lines;
failed:
    if (fd >= 0)
        close(fd);
    source_lines_close(lines);
    return NULL;
}

void source_lines_close(struct source_lines *lines)
{
    if (!lines)
        return;
    dwfl_end(lines->dwfl);
    free(lines);
}

/* Where libdwfl has placed a section of the object. */
static bool source_lines_place(struct source_lines *lines, const char *name, uint64_t offset, Dwarf_Addr *address)
{
    GElf_Addr bias;
    int count = dwfl_module_relocations(lines->module);
    Elf *elf = dwfl_module_getelf(lines->module, &bias);
    for (int i = 0; i < count && elf; i++) {
        GElf_Word index;
        GElf_Shdr header;
        const char *candidate = dwfl_module_relocation_info(lines->module, (unsigned)i, &index);
        if (!candidate || strcmp(candidate, name) != 0)
            continue;
        if (!gelf_getshdr(elf_getscn(elf, index), &header) || offset >= header.sh_size)
            continue;
        *address = header.sh_addr + bias + offset;
        return true;
    }
    return false;
}

bool source_lines_find(struct source_lines *lines, const char *section, uint64_t offset, const char **file, int *line)
{
    Dwarf_Addr address;
    if (!source_lines_place(lines, section, offset, &address))
        return false;
    Dwfl_Line *found = dwfl_module_getsrc(lines->module, address);
    *file = found ? dwfl_lineinfo(found, NULL, line, NULL, NULL, NULL) : NULL;
    /* Line 0 marks code that no line of the source stands for. */
    return *file && *line > 0;
}
