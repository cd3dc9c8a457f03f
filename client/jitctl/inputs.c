/*
 * Gathering: each operand is opened, known by its first bytes, and given to the selection in the order of the command
 * line.
 */
#include "client/jitctl/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/elf_symbols.h"
#include "client/jitctl/gathering.h"
#include "client/jitctl/input_files.h"
#include "client/jitctl/input_kind.h"
#include "client/jitctl/libraries.h"
#include "client/jitctl/script.h"

void gathering_add_object(struct inputs *inputs, char *name, const void *bytes, size_t length)
{
    inputs->objects = allocate_room(inputs->objects, inputs->object_count, sizeof *inputs->objects);
    inputs->objects[inputs->object_count++] = (struct input_object){.name = name, .bytes = bytes, .length = length};
}

static void gathering_take_object(struct gathering *gathering, const char *path, const struct input_file *file)
{
    gathering_add_object(gathering->inputs, allocate_format("%s", path), file->bytes, file->length);
    selection_add_object(&gathering->selection, file->bytes, file->length);
}

void gathering_take_file(struct gathering *gathering, const char *path, struct operand_manner manner)
{
    struct input_file file;
    struct error error;
    bool resident = gathering_is_resident(path);
    if (input_files_open(gathering->inputs, path, &file, &error)) {
        if (!resident)
            gathering->status = complain("%s: %s", path, error.text);
        return;
    }
    /* libc.so.6 is a program as well. */
    enum input_kind kind = resident ? INPUT_SHARED : input_kind(file.bytes, file.length);
    switch (kind) {
    case INPUT_EMPTY:
        gathering->status = complain("%s: is empty", path);
        break;
    case INPUT_ARCHIVE:
        gathering_take_archive(gathering, path, &file, manner);
        break;
    case INPUT_SHARED:
        gathering_take_shared(gathering, path, &file, manner);
        break;
    case INPUT_TEXT:
        gathering_take_script(gathering, path, &file, manner);
        break;
    case INPUT_OBJECT:
        gathering_take_object(gathering, path, &file);
        break;
    }
    if (gathering->group_depth == 0)
        gathering_forget_candidates(gathering);
}

static bool inputs_script_suits(const struct input_file *file)
{
    struct script script;
    script_read(&script, file->bytes, file->length);
    bool suits = !script.foreign;
    script_free(&script);
    return suits;
}

static bool inputs_file_suits(const struct input_file *file)
{
    size_t length;
    const void *first;
    switch (input_kind(file->bytes, file->length)) {
    case INPUT_TEXT:
        return inputs_script_suits(file);
    case INPUT_ARCHIVE:
        first = archive_first_member(file->bytes, file->length, &length);
        return !first || input_suits_machine(first, length);
    default:
        return input_suits_machine(file->bytes, file->length);
    }
}

/* A file that cannot be read ends the search: it is complained of when it is opened. */
static bool inputs_suits(void *data, const char *path)
{
    struct gathering *gathering = data;
    struct input_file file;
    if (input_files_map(path, &file, NULL))
        return true;
    bool suits = inputs_file_suits(&file);
    input_files_unmap(&file);
    if (!suits && !gathering->unsuitable)
        gathering->unsuitable = allocate_format("%s", path);
    return suits;
}

static char *inputs_find_library(struct gathering *gathering, const char *name, struct operand_manner manner)
{
    struct libraries_search search = {
        .directories = gathering->options->directories,
        .directory_count = gathering->options->directory_count,
        .last = (const char *const *)gathering->directories,
        .last_count = gathering->directory_count,
        .archives_only = manner.archives_only,
        .suits = inputs_suits,
        .data = gathering,
    };
    free(gathering->unsuitable);
    gathering->unsuitable = NULL;
    return libraries_find(name, &search);
}

/* A resident library is looked for all the same: its linker script may name more, as libm's names libmvec. */
void gathering_take_library(struct gathering *gathering, const char *name, struct operand_manner manner)
{
    bool resident = libraries_is_resident(name);
    if (resident && manner.archives_only)
        return;
    char *path = inputs_find_library(gathering, name, manner);
    if (path)
        gathering_take_file(gathering, path, manner);
    else if (!resident && gathering->unsuitable)
        gathering->status =
            complain("-l%s: %s is for another machine, and there is no other", name, gathering->unsuitable);
    else if (!resident)
        gathering->status = complain("-l%s: no such library in the -L directories or the system's", name);
    free(path);
}

static void inputs_take_operands(struct gathering *gathering, const struct options *options)
{
    for (size_t i = 0; i < options->operand_count; i++) {
        const struct operand *operand = &options->operands[i];
        switch (operand->kind) {
        case OPERAND_FILE:
            gathering_take_file(gathering, operand->text, operand->manner);
            break;
        case OPERAND_LIBRARY:
            gathering_take_library(gathering, operand->text, operand->manner);
            break;
        case OPERAND_GROUP_BEGIN:
            gathering->group_depth++;
            break;
        case OPERAND_GROUP_END:
            gathering_end_group(gathering, 0);
            break;
        }
    }
}

/* Where the symbols of an object cannot be known, the daemon says what is wrong with it. */
static bool inputs_are_known(const struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->object_count; i++) {
        const struct input_object *object = &inputs->objects[i];
        if (!elf_symbols_of_object(object->bytes, object->length, NULL, NULL))
            return false;
    }
    return true;
}

static void inputs_check(struct gathering *gathering, bool program)
{
    const struct inputs *inputs = gathering->inputs;
    if (gathering->status)
        return;
    if (program && !selection_defines(&gathering->selection, "main") && inputs_are_known(inputs))
        gathering->status = complain("undefined symbol 'main': no object given defines it, and no member of an "
                                     "archive or library");
    else if (!program && inputs->object_count == 0)
        gathering->status = complain("nothing to link: no object given, and no member of an archive is needed "
                                     "(--whole-archive takes them all)");
    if (gathering->status)
        inputs_complain_unsearched(inputs);
}

static void inputs_free_gathering(struct gathering *gathering)
{
    selection_free(&gathering->selection);
    for (size_t i = 0; i < gathering->directory_count; i++)
        free(gathering->directories[i]);
    free(gathering->directories);
    free(gathering->unsuitable);
}

int inputs_gather(struct inputs *inputs, const struct options *options, bool program)
{
    *inputs = (struct inputs){0};
    struct gathering gathering = {.inputs = inputs, .options = options};
    selection_init(&gathering.selection);
    /* crt1.o would refer to it, so that it may come from an archive. */
    selection_require(&gathering.selection, "main");
    for (size_t i = 0; i < options->undefined_count; i++)
        selection_require(&gathering.selection, options->undefined[i]);
    inputs_take_operands(&gathering, options);
    for (size_t i = 0; libraries_silent[i]; i++)
        if (access(libraries_silent[i], R_OK) == 0)
            gathering_take_file(&gathering, libraries_silent[i], (struct operand_manner){0});
    inputs->libraries = allocate_room(inputs->libraries, inputs->library_count, sizeof *inputs->libraries);
    inputs->libraries[inputs->library_count] = NULL;
    inputs_check(&gathering, program);
    inputs_free_gathering(&gathering);
    return gathering.status;
}

void inputs_free(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->object_count; i++)
        free(inputs->objects[i].name);
    for (size_t i = 0; i < inputs->library_count; i++)
        free(inputs->libraries[i]);
    for (size_t i = 0; i < inputs->unsearched_count; i++)
        free(inputs->unsearched[i]);
    free(inputs->objects);
    free(inputs->libraries);
    free(inputs->unsearched);
    input_files_free(inputs);
    *inputs = (struct inputs){0};
}

void inputs_complain_unsearched(const struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->unsearched_count; i++)
        complain("%s may define it, but holds code for a compiler alone (-flto): compile it with -ffat-lto-objects, or "
                 "without -flto",
                 inputs->unsearched[i]);
}
