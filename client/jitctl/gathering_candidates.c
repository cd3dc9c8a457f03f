/*
 * Archives and shared libraries, and groups of them, which are searched in circles.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/elf_symbols.h"
#include "client/jitctl/gathering.h"
#include "client/jitctl/input_files.h"
#include "client/jitctl/input_kind.h"
#include "client/jitctl/libraries.h"

static const char *gathering_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- archives ---- */

static int gathering_open_for_archive(void *data, const char *path, const void **bytes, size_t *length,
                                      struct error *error)
{
    struct input_file file;
    int code = input_files_open(data, path, &file, error);
    *bytes = file.bytes;
    *length = file.length;
    return code;
}

static void gathering_include_member(const struct archive_member *member, void *data)
{
    struct gathering *gathering = data;
    if (member->problem) {
        gathering->status = complain("%s: member %s: %s", gathering->archive_path, member->name, member->problem);
        return;
    }
    gathering_add_object(gathering->inputs,
                         allocate_format("%s(%s)", gathering_base_name(gathering->archive_path), member->name),
                         member->bytes, member->length);
}

/* Where the archive has an index, that says what such members define. */
static void gathering_note_unsearched(struct inputs *inputs, const char *path, const struct archive *archive)
{
    for (size_t i = 0; i < archive->member_count && !archive->indexed; i++) {
        const struct archive_member *member = &archive->members[i];
        if (member->known || member->included || !elf_symbols_is_intermediate(member->bytes, member->length))
            continue;
        inputs->unsearched = allocate_room(inputs->unsearched, inputs->unsearched_count, sizeof(char *));
        inputs->unsearched[inputs->unsearched_count++] =
            allocate_format("%s(%s)", gathering_base_name(path), archive->members[i].name);
    }
}

static size_t gathering_search_archive(struct gathering *gathering, const struct candidate *candidate)
{
    gathering->archive_path = candidate->path;
    return selection_search_archive(&gathering->selection, candidate->archive, gathering_include_member, gathering);
}

static void gathering_add_candidate(struct gathering *gathering, struct candidate candidate)
{
    gathering->candidates =
        allocate_room(gathering->candidates, gathering->candidate_count, sizeof *gathering->candidates);
    gathering->candidates[gathering->candidate_count++] = candidate;
}

void gathering_take_archive(struct gathering *gathering, const char *path, const struct input_file *file,
                            struct operand_manner manner)
{
    struct archive *archive = allocate_zeroed(sizeof *archive);
    struct archive_files files = {.open = gathering_open_for_archive, .data = gathering->inputs};
    struct error error;
    if (archive_open(archive, path, file->bytes, file->length, &files, &error)) {
        gathering->status = complain("%s: %s", path, error.text);
        free(archive);
        return;
    }
    struct candidate candidate = {.path = allocate_format("%s", path), .archive = archive};
    gathering_add_candidate(gathering, candidate);
    gathering->archive_path = candidate.path;
    if (manner.whole)
        selection_take_archive(&gathering->selection, archive, gathering_include_member, gathering);
    else
        gathering_search_archive(gathering, &candidate);
}

/* ---- shared libraries ---- */

static bool gathering_has_library(const struct inputs *inputs, const char *resolved)
{
    for (size_t i = 0; i < inputs->library_count; i++)
        if (strcmp(inputs->libraries[i], resolved) == 0)
            return true;
    return false;
}

static void gathering_add_library(struct gathering *gathering, const char *path, const struct input_file *file)
{
    struct inputs *inputs = gathering->inputs;
    char *resolved = realpath(path, NULL);
    if (!resolved) {
        gathering->status = complain("%s: %s", path, strerror(errno));
        return;
    }
    selection_add_library(&gathering->selection, file->bytes, file->length);
    if (gathering_has_library(inputs, resolved)) {
        free(resolved);
        return;
    }
    inputs->libraries = allocate_room(inputs->libraries, inputs->library_count, sizeof *inputs->libraries);
    inputs->libraries[inputs->library_count++] = resolved;
}

/* libc's own file and its companions, which scripts name by path. */
bool gathering_is_resident(const char *path)
{
    const char *base = gathering_base_name(path);
    if (strncmp(base, "ld-linux", 8) == 0)
        return true;
    char name[32];
    return sscanf(base, "lib%31[^.].so.", name) == 1 && strstr(base, ".so.") && libraries_is_resident(name);
}

void gathering_take_shared(struct gathering *gathering, const char *path, const struct input_file *file,
                           struct operand_manner manner)
{
    if (gathering_is_resident(path))
        selection_add_library(&gathering->selection, file->bytes, file->length);
    else if (!input_suits_machine(file->bytes, file->length))
        gathering->status = complain("%s: a shared library for another machine", path);
    else if (manner.archives_only)
        gathering->status = complain("%s: a shared library, after -Bstatic", path);
    else if (manner.as_needed && !selection_needs_library(&gathering->selection, file->bytes, file->length))
        gathering_add_candidate(gathering, (struct candidate){.path = allocate_format("%s", path), .file = *file});
    else
        gathering_add_library(gathering, path, file);
}

/* ---- groups ---- */

/* Whether the candidate adds anything now. */
static bool gathering_look_again(struct gathering *gathering, size_t at)
{
    /* The list may move while the candidate is looked at. */
    struct candidate candidate = gathering->candidates[at];
    if (candidate.archive)
        return gathering_search_archive(gathering, &candidate) > 0;
    if (!candidate.path || !selection_needs_library(&gathering->selection, candidate.file.bytes, candidate.file.length))
        return false;
    gathering_add_library(gathering, candidate.path, &candidate.file);
    free(candidate.path);
    gathering->candidates[at].path = NULL;
    return true;
}

static void gathering_search_in_circles(struct gathering *gathering, size_t first)
{
    for (bool added = true; added;) {
        added = false;
        for (size_t i = first; i < gathering->candidate_count; i++)
            added |= gathering_look_again(gathering, i);
    }
}

void gathering_forget_candidates(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->candidate_count; i++) {
        struct candidate *candidate = &gathering->candidates[i];
        if (candidate->archive) {
            gathering_note_unsearched(gathering->inputs, candidate->path, candidate->archive);
            archive_close(candidate->archive);
        }
        free(candidate->archive);
        free(candidate->path);
    }
    gathering->candidate_count = 0;
    free(gathering->candidates);
    gathering->candidates = NULL;
}

/* A group of a script may lie within one of the command line: its candidates are those of the outer one, too. */
void gathering_end_group(struct gathering *gathering, size_t first)
{
    gathering_search_in_circles(gathering, first);
    if (--gathering->group_depth == 0)
        gathering_forget_candidates(gathering);
}
