/*
 * Archives made by the system's ar, whole and broken.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/archive.h"
#include "tests/lib/compile.h"
#include "tests/lib/temp.h"

static void put_object(const struct temp *temp, const char *name, const char *source)
{
    char path[512];
    struct object_bytes object = compile_c(source, NULL);
    FILE *file = fopen(temp_path(temp, name, path), "wb");
    cr_assert(file && fwrite(object.bytes, 1, object.length, file) == object.length && fclose(file) == 0);
    object_free(&object);
}

/* An archive of one.o and a member with a name too long for its header, made with these flags of ar. */
static struct object_bytes make_archive(const char *flags)
{
    struct temp temp = temp_make();
    char path[512], command[1024];
    put_object(&temp, "one.o", "int one(void) { return 1; } int shared_name;");
    put_object(&temp, "a_name_of_more_than_fifteen_bytes.o",
               "int two = 2; extern int one(void); int call(void) { return one(); }");
    snprintf(command, sizeof command, "cd %s && ar %s lib.a one.o a_name_of_more_than_fifteen_bytes.o", temp.path,
             flags);
    cr_assert(system(command) == 0);
    struct object_bytes archive = object_read(temp_path(&temp, "lib.a", path));
    temp_remove(&temp);
    return archive;
}

static const char *member_of(const struct archive *archive, const char *symbol)
{
    for (size_t i = 0; i < archive->symbol_count; i++)
        if (strcmp(archive->symbols[i].name, symbol) == 0)
            return archive->members[archive->symbols[i].member].name;
    return "none";
}

static void check_contents(const struct archive *archive)
{
    cr_assert_eq(archive->member_count, 2);
    cr_assert_str_eq(archive->members[0].name, "one.o");
    cr_assert_str_eq(archive->members[1].name, "a_name_of_more_than_fifteen_bytes.o");
    cr_assert(memcmp(archive->members[0].bytes, "\177ELF", 4) == 0);
    cr_assert_str_eq(member_of(archive, "one"), "one.o");
    cr_assert_str_eq(member_of(archive, "two"), "a_name_of_more_than_fifteen_bytes.o");
    cr_assert_str_eq(member_of(archive, "call"), "a_name_of_more_than_fifteen_bytes.o");
    cr_assert_str_eq(member_of(archive, "printf"), "none");
}

static int open_code(const void *bytes, size_t length, struct error *error)
{
    struct archive archive;
    int code = archive_open(&archive, bytes, length, error);
    if (!code)
        archive_close(&archive);
    return code;
}

Test(archive, reads_members_and_the_index)
{
    struct object_bytes bytes = make_archive("rcs");
    struct archive archive;
    struct error error;
    cr_assert_eq(archive_open(&archive, bytes.bytes, bytes.length, &error), 0, "%s", error.text);
    cr_assert_not(archive.index_missing);
    check_contents(&archive);
    archive_close(&archive);
    object_free(&bytes);
}

Test(archive, builds_an_index_where_there_is_none)
{
    struct object_bytes bytes = make_archive("rcS");
    struct archive archive;
    struct error error;
    cr_assert_eq(archive_open(&archive, bytes.bytes, bytes.length, &error), 0, "%s", error.text);
    cr_assert(archive.index_missing);
    check_contents(&archive);
    archive_close(&archive);
    object_free(&bytes);
}

Test(archive, refuses_every_truncation_that_cuts_a_member)
{
    struct object_bytes bytes = make_archive("rcs");
    struct error error;
    for (size_t length = 9; length < bytes.length - 1; length++) {
        int code = open_code(bytes.bytes, length, &error);
        /* Between two members the rest is an archive, but its index names a member that is gone. */
        cr_assert_neq(code, 0, "%zu of %zu bytes were accepted", length, bytes.length);
        cr_assert(code == ERROR_OBJECT_FORMAT || code == ERROR_OBJECT_TRUNCATED);
    }
    object_free(&bytes);
}

Test(archive, refuses_bytes_after_the_last_member)
{
    struct object_bytes bytes = make_archive("rcs");
    struct error error;
    uint8_t *longer = calloc(1, bytes.length + 100);
    memcpy(longer, bytes.bytes, bytes.length);
    cr_assert_eq(open_code(longer, bytes.length + 100, &error), ERROR_OBJECT_FORMAT);
    free(longer);
    object_free(&bytes);
}

Test(archive, refuses_an_index_that_points_between_members)
{
    struct object_bytes bytes = make_archive("rcs");
    struct error error;
    /* The index follows its 60-byte header: a big-endian count, then offsets. */
    bytes.bytes[8 + 60 + 4 + 3] ^= 2;
    cr_assert_eq(open_code(bytes.bytes, bytes.length, &error), ERROR_OBJECT_FORMAT);
    cr_assert(strstr(error.text, "ranlib"), "%s", error.text);
    object_free(&bytes);
}

Test(archive, says_what_to_do_about_a_thin_one)
{
    struct error error;
    cr_assert(archive_recognise("!<thin>\n", 8));
    cr_assert_eq(open_code("!<thin>\n", 8, &error), ERROR_UNSUPPORTED);
    cr_assert(strstr(error.text, "thin"));
}

Test(archive, accepts_one_without_members)
{
    struct error error;
    cr_assert_eq(open_code("!<arch>\n", 8, &error), 0);
    cr_assert_not(archive_recognise("!<arch>", 7));
}
