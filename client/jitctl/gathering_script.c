/*
 * What a linker script brings.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/gathering.h"
#include "client/jitctl/script.h"

/* Scripts may name scripts; no real one goes deeper than two. */
#define SCRIPT_DEPTH 8

/* As ld looks for a file that a script names: beside the script, then in the working directory, then as it looks for
   libraries. */
static void gathering_take_script_file(struct gathering *gathering, const char *script, const char *name,
                                       struct operand_manner manner)
{
    if (strncmp(name, "-l", 2) == 0) {
        gathering_take_library(gathering, name + 2, manner);
        return;
    }
    /* "=/lib/x.so": below the root for which the toolchain was made, which here is the machine's. */
    name += *name == '=';
    const char *slash = strrchr(script, '/');
    char *beside = *name != '/' && slash ? allocate_format("%.*s/%s", (int)(slash - script), script, name) : NULL;
    char *searched = allocate_format(":%s", name);
    if (beside && access(beside, F_OK) == 0)
        gathering_take_file(gathering, beside, manner);
    else if (*name == '/' || access(name, F_OK) == 0)
        gathering_take_file(gathering, name, manner);
    else
        gathering_take_library(gathering, searched, manner);
    free(searched);
    free(beside);
}

static void gathering_add_directory(struct gathering *gathering, const char *directory)
{
    gathering->directories = allocate_room(gathering->directories, gathering->directory_count, sizeof(char *));
    gathering->directories[gathering->directory_count++] = allocate_format("%s", directory + (*directory == '='));
}

/* Groups of scripts do not nest. */
static void gathering_follow_script(struct gathering *gathering, const char *path, const struct script *script,
                                    struct operand_manner manner)
{
    struct operand_manner as_needed = manner;
    as_needed.as_needed = true;
    size_t group = 0;
    for (size_t i = 0; i < script->item_count; i++) {
        const struct script_item *item = &script->items[i];
        switch (item->kind) {
        case SCRIPT_FILE:
            gathering_take_script_file(gathering, path, item->text, manner);
            break;
        case SCRIPT_AS_NEEDED_FILE:
            gathering_take_script_file(gathering, path, item->text, as_needed);
            break;
        case SCRIPT_GROUP_BEGIN:
            gathering->group_depth++;
            group = gathering->candidate_count;
            break;
        case SCRIPT_GROUP_END:
            gathering_end_group(gathering, group);
            break;
        case SCRIPT_DIRECTORY:
            gathering_add_directory(gathering, item->text);
            break;
        case SCRIPT_EXTERN:
            selection_require(&gathering->selection, item->text);
            break;
        }
    }
}

void gathering_take_script(struct gathering *gathering, const char *path, const struct input_file *file,
                           struct operand_manner manner)
{
    struct script script;
    script_read(&script, file->bytes, file->length);
    if (script.problem)
        gathering->status = complain("%s: neither an object nor an archive nor a library nor a linker script that "
                                     "brings files: %s",
                                     path, script.problem);
    else if (script.foreign)
        gathering->status = complain("%s: a linker script for another machine (OUTPUT_FORMAT)", path);
    else if (gathering->script_depth == SCRIPT_DEPTH)
        gathering->status = complain("%s: linker scripts name each other too deeply", path);
    else {
        gathering->script_depth++;
        gathering_follow_script(gathering, path, &script, manner);
        gathering->script_depth--;
    }
    script_free(&script);
}
