/*
 * Gathering: each operand is opened, known by its first bytes, and given to the selection in the order of the command
 * line. Files are mapped privately and stay so until the end: reports read their line tables.
 */
#include "client/jitctl/inputs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/archive.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/libraries.h"
#include "client/jitctl/selection.h"
#include "common/bytes.h"

struct input_file {
    void *bytes; /* owned mapping; NULL for an empty file */
    size_t length;
};

/* Scripts may name scripts; no real one goes deeper than two. */
#define INPUTS_SCRIPT_DEPTH 8

struct inputs_gathering {
    struct inputs *inputs;
    const struct options *options;
    struct selection selection;
    const char *archive_path; /* of the archive being searched */
    unsigned script_depth;
    int status;
};

static void inputs_take_file(struct inputs_gathering *gathering, const char *path);
static void inputs_take_library(struct inputs_gathering *gathering, const char *name);

static int inputs_map(const char *path, struct input_file *file)
{
    /* O_NONBLOCK: opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return complain("%s: %s", path, strerror(errno));
    struct stat status;
    int code = 0;
    if (fstat(fd, &status) < 0)
        code = complain("%s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        code = complain("%s: %s", path, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file");
    if (code || status.st_size == 0)
        goto out;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        code = complain("%s: cannot be mapped: %s", path, strerror(errno));
    else
        *file = (struct input_file){.bytes = bytes, .length = (size_t)status.st_size};
out:
    close(fd);
    return code;
}

static int inputs_keep(struct inputs *inputs, const char *path, struct input_file *file)
{
    *file = (struct input_file){0};
    int code = inputs_map(path, file);
    if (code)
        return code;
    inputs->files = allocate_room(inputs->files, inputs->file_count, sizeof *inputs->files);
    inputs->files[inputs->file_count++] = *file;
    return 0;
}

static void inputs_add_object(struct inputs *inputs, char *name, const void *bytes, size_t length)
{
    inputs->objects = allocate_room(inputs->objects, inputs->object_count, sizeof *inputs->objects);
    inputs->objects[inputs->object_count++] = (struct input_object){.name = name, .bytes = bytes, .length = length};
}

static void inputs_include_member(const struct archive_member *member, void *data)
{
    const struct inputs_gathering *gathering = data;
    const char *slash = strrchr(gathering->archive_path, '/');
    const char *base = slash ? slash + 1 : gathering->archive_path;
    inputs_add_object(gathering->inputs, allocate_format("%s(%s)", base, member->name), member->bytes, member->length);
}

static void inputs_take_archive(struct inputs_gathering *gathering, const char *path, const struct input_file *file)
{
    struct archive archive;
    struct error error;
    if (archive_open(&archive, file->bytes, file->length, &error)) {
        gathering->status = complain("%s: %s", path, error.text);
        return;
    }
    gathering->archive_path = path;
    selection_search_archive(&gathering->selection, &archive, inputs_include_member, gathering);
    archive_close(&archive);
}

static void inputs_take_shared(struct inputs_gathering *gathering, const char *path, const struct input_file *file)
{
    struct inputs *inputs = gathering->inputs;
    char *resolved = realpath(path, NULL);
    if (!resolved) {
        gathering->status = complain("%s: %s", path, strerror(errno));
        return;
    }
    selection_add_library(&gathering->selection, file->bytes, file->length);
    for (size_t i = 0; i < inputs->library_count; i++)
        if (strcmp(inputs->libraries[i], resolved) == 0) {
            free(resolved);
            return;
        }
    inputs->libraries = allocate_room(inputs->libraries, inputs->library_count, sizeof *inputs->libraries);
    inputs->libraries[inputs->library_count++] = resolved;
}

static void inputs_take_script_file(const char *name, void *data)
{
    struct inputs_gathering *gathering = data;
    if (strncmp(name, "-l", 2) == 0) {
        inputs_take_library(gathering, name + 2);
        return;
    }
    if (access(name, F_OK) == 0 || *name == '/') {
        inputs_take_file(gathering, name);
        return;
    }
    char *searched = allocate_format(":%s", name);
    inputs_take_library(gathering, searched);
    free(searched);
}

/* Whether it was a script, and has been taken. Only what ends in ".so" or ".a" may be one: any other text is the
   daemon's to refuse. */
static bool inputs_take_script(struct inputs_gathering *gathering, const char *path, const struct input_file *file)
{
    const char *dot = strrchr(path, '.');
    if (!dot || (strcmp(dot, ".so") != 0 && strcmp(dot, ".a") != 0))
        return false;
    if (gathering->script_depth == INPUTS_SCRIPT_DEPTH) {
        gathering->status = complain("%s: linker scripts name each other too deeply", path);
        return true;
    }
    gathering->script_depth++;
    bool taken = libraries_read_script(file->bytes, file->length, inputs_take_script_file, gathering);
    gathering->script_depth--;
    return taken;
}

/* A program has an interpreter; of libraries only libc has, which is resident. */
static bool inputs_has_interpreter(const struct input_file *file, const Elf64_Ehdr *header)
{
    for (uint64_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        if (!range_within(header->e_phoff, (i + 1) * sizeof segment, file->length))
            return false;
        memcpy(&segment, (const char *)file->bytes + header->e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

/* A program of type ET_DYN is not one: it goes to the daemon as an object, which says what it is. */
static bool inputs_is_shared(const struct input_file *file)
{
    Elf64_Ehdr header;
    if (file->length < sizeof header)
        return false;
    memcpy(&header, file->bytes, sizeof header);
    return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_type == ET_DYN && !inputs_has_interpreter(file, &header);
}

/* libc's own file and its companions, which scripts name by path. */
static bool inputs_is_resident(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    if (strncmp(base, "ld-linux", 8) == 0)
        return true;
    char name[32];
    return sscanf(base, "lib%31[^.].so.", name) == 1 && strstr(base, ".so.") && libraries_is_resident(name);
}

static void inputs_take_file(struct inputs_gathering *gathering, const char *path)
{
    if (inputs_is_resident(path))
        return;
    struct input_file file;
    if (inputs_keep(gathering->inputs, path, &file)) {
        gathering->status = EXIT_JITCTL;
        return;
    }
    if (archive_recognise(file.bytes, file.length))
        inputs_take_archive(gathering, path, &file);
    else if (inputs_is_shared(&file))
        inputs_take_shared(gathering, path, &file);
    else if (!inputs_take_script(gathering, path, &file)) {
        inputs_add_object(gathering->inputs, allocate_format("%s", path), file.bytes, file.length);
        selection_add_object(&gathering->selection, file.bytes, file.length);
    }
}

static void inputs_take_library(struct inputs_gathering *gathering, const char *name)
{
    if (libraries_is_resident(name))
        return;
    const struct options *options = gathering->options;
    char *path = libraries_find(name, options->directories, options->directory_count);
    if (path)
        inputs_take_file(gathering, path);
    else
        gathering->status = complain("-l%s: no such library in the -L directories or the system's", name);
    free(path);
}

int inputs_gather(struct inputs *inputs, const struct options *options)
{
    *inputs = (struct inputs){0};
    struct inputs_gathering gathering = {.inputs = inputs, .options = options};
    selection_init(&gathering.selection);
    /* crt1.o would refer to it, so that it may come from an archive. */
    selection_require(&gathering.selection, "main");
    for (size_t i = 0; i < options->operand_count; i++)
        if (options->operands[i].kind == OPERAND_FILE)
            inputs_take_file(&gathering, options->operands[i].text);
        else
            inputs_take_library(&gathering, options->operands[i].text);
    for (size_t i = 0; libraries_silent[i]; i++)
        if (access(libraries_silent[i], R_OK) == 0)
            inputs_take_file(&gathering, libraries_silent[i]);
    selection_free(&gathering.selection);
    inputs->libraries = allocate_room(inputs->libraries, inputs->library_count, sizeof *inputs->libraries);
    inputs->libraries[inputs->library_count] = NULL;
    return gathering.status;
}

void inputs_free(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->object_count; i++)
        free(inputs->objects[i].name);
    for (size_t i = 0; i < inputs->library_count; i++)
        free(inputs->libraries[i]);
    for (size_t i = 0; i < inputs->file_count; i++)
        if (inputs->files[i].bytes)
            munmap(inputs->files[i].bytes, inputs->files[i].length);
    free(inputs->objects);
    free(inputs->libraries);
    free(inputs->files);
    *inputs = (struct inputs){0};
}
