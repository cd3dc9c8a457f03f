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

/* Files that lie in memory, for thin archives. */
struct shelf {
    struct {
        const char *path;
        const void *bytes;
        size_t length;
    } files[4];
};

static int open_from_shelf(void *data, const char *path, const void **bytes, size_t *length, struct error *error)
{
    const struct shelf *shelf = data;
    for (size_t i = 0; i < 4 && shelf->files[i].path; i++)
        if (strcmp(shelf->files[i].path, path) == 0) {
            *bytes = shelf->files[i].bytes;
            *length = shelf->files[i].length;
            return 0;
        }
    return error_set(error, ERROR_NOT_FOUND, "not on the shelf");
}

static struct shelf empty_shelf;
static const struct archive_files no_files = {.open = open_from_shelf, .data = &empty_shelf};

static int open_code(const void *bytes, size_t length, struct error *error)
{
    struct archive archive;
    int code = archive_open(&archive, "lib.a", bytes, length, &no_files, error);
    if (!code)
        archive_close(&archive);
    return code;
}

Test(archive, reads_members_and_the_index)
{
    struct object_bytes bytes = make_archive("rcs");
    struct archive archive;
    struct error error;
    cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0, "%s", error.text);
    cr_assert(archive.indexed);
    check_contents(&archive);
    archive_close(&archive);
    object_free(&bytes);
}

Test(archive, needs_no_index)
{
    struct object_bytes bytes = make_archive("rcS");
    struct archive archive;
    struct error error;
    cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0, "%s", error.text);
    cr_assert_not(archive.indexed);
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
        /* Between two members the rest is an archive, but its index names a member that is past the end. */
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

/* The index follows its 60-byte header: a big-endian count, then positions, then names. */
#define INDEX (8 + 60)

Test(archive, an_index_that_is_out_of_date_harms_nobody)
{
    struct object_bytes bytes = make_archive("rcs");
    struct archive archive;
    struct error error;
    memset(bytes.bytes + INDEX + 4, 0, 4);                  /* a position between members */
    memcpy(memmem(bytes.bytes, 200, "one\0", 4), "eno", 3); /* a name that no member has */
    memcpy(memmem(bytes.bytes, 200, "shared_name", 11), "scared_name", 11);
    cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0, "%s", error.text);
    check_contents(&archive);
    cr_expect_str_eq(member_of(&archive, "scared_name"), "none");
    archive_close(&archive);
    object_free(&bytes);
}

Test(archive, refuses_an_index_that_points_past_the_end)
{
    struct object_bytes bytes = make_archive("rcs");
    struct error error;
    bytes.bytes[INDEX + 4] = 1;
    cr_assert_eq(open_code(bytes.bytes, bytes.length, &error), ERROR_OBJECT_TRUNCATED);
    cr_assert(strstr(error.text, "ranlib"), "%s", error.text);
    object_free(&bytes);
}

/* Nobody else's code reads an index here, so every byte of one may be anything. */
Test(archive, any_byte_of_an_index_may_be_wrong)
{
    struct object_bytes bytes = make_archive("rcs");
    struct error error;
    size_t end = (size_t)strtoul((char *)bytes.bytes + 8 + 48, NULL, 10) + INDEX;
    for (size_t at = INDEX; at < end; at++) {
        uint8_t before = bytes.bytes[at];
        for (unsigned value = 0; value < 256; value += 51) {
            bytes.bytes[at] = (uint8_t)value;
            int code = open_code(bytes.bytes, bytes.length, &error);
            cr_assert(code == 0 || code == ERROR_OBJECT_TRUNCATED, "byte %zu: %s", at, error.text);
        }
        bytes.bytes[at] = before;
    }
    object_free(&bytes);
}

/* ---- BSD ---- */

static size_t append_header(uint8_t *out, const char *name, size_t length)
{
    char header[61];
    snprintf(header, sizeof header, "%-16.16s%-12d%-6d%-6d%-8o%-10zu`\n", name, 0, 0, 0, 0644, length);
    memcpy(out, header, 60);
    return 60;
}

static size_t append_member(uint8_t *out, const char *name, const void *bytes, size_t length)
{
    char short_name[32];
    size_t name_bytes = (strlen(name) + 4) & ~(size_t)3;
    snprintf(short_name, sizeof short_name, "#1/%zu", name_bytes);
    size_t at = append_header(out, short_name, name_bytes + length);
    memset(out + at, 0, name_bytes);
    memcpy(out + at, name, strlen(name));
    memcpy(out + at + name_bytes, bytes, length);
    at += name_bytes + length;
    if (at % 2)
        out[at++] = '\n';
    return at;
}

static size_t append_word(uint8_t *out, size_t word, uint64_t value)
{
    memcpy(out, &value, word);
    return word;
}

/* An archive as BSD and Darwin have it, with an index of words of that size which says that the symbol is in the one
   member. */
static struct object_bytes make_bsd_archive(const char *index_name, size_t word, const char *symbol,
                                            const struct object_bytes *object)
{
    struct object_bytes archive = {.bytes = calloc(1, object->length + 1000)};
    uint8_t index[128];
    size_t at = 0, index_bytes = 4 * word + strlen(symbol) + 1;
    size_t name_bytes = (strlen(index_name) + 4) & ~(size_t)3;
    uint64_t position = (8 + 60 + name_bytes + index_bytes + 1) & ~1ull;
    at += append_word(index, word, 2 * word);
    at += append_word(index + at, word, 0);
    at += append_word(index + at, word, position);
    at += append_word(index + at, word, strlen(symbol) + 1);
    memcpy(index + at, symbol, strlen(symbol) + 1);
    memcpy(archive.bytes, "!<arch>\n", 8);
    archive.length = 8;
    archive.length += append_member(archive.bytes + 8, index_name, index, index_bytes);
    cr_assert_eq(archive.length, position);
    archive.length +=
        append_member(archive.bytes + archive.length, "a name with blanks.o", object->bytes, object->length);
    return archive;
}

static const struct {
    const char *name;
    size_t word;
} bsd_indices[] = {{"__.SYMDEF", 4}, {"__.SYMDEF SORTED", 4}, {"__.SYMDEF_64", 8}, {"__.SYMDEF_64 SORTED", 8}};

Test(archive, reads_names_and_indices_of_bsd)
{
    struct object_bytes object = compile_c("int one(void) { return 1; }", NULL);
    struct object_bytes bitcode = {.bytes = (uint8_t *)"BC\xc0\xde....", .length = 8};
    for (size_t i = 0; i < sizeof bsd_indices / sizeof bsd_indices[0]; i++) {
        struct archive archive;
        struct error error;
        struct object_bytes bytes = make_bsd_archive(bsd_indices[i].name, bsd_indices[i].word, "one", &object);
        cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0, "%s",
                     error.text);
        cr_expect_eq(archive.member_count, 1);
        cr_expect_str_eq(member_of(&archive, "one"), "a name with blanks.o");
        cr_expect(memcmp(archive.members[0].bytes, object.bytes, object.length) == 0);
        archive_close(&archive);
        object_free(&bytes);

        /* Of bitcode the index is all that is known. */
        bytes = make_bsd_archive(bsd_indices[i].name, bsd_indices[i].word, "two", &bitcode);
        cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0, "%s",
                     error.text);
        cr_expect_not(archive.members[0].known);
        cr_expect_str_eq(member_of(&archive, "two"), "a name with blanks.o");
        archive_close(&archive);
        object_free(&bytes);
    }
    object_free(&object);
}

Test(archive, any_byte_of_a_bsd_index_may_be_wrong)
{
    struct object_bytes bitcode = {.bytes = (uint8_t *)"BC\xc0\xde....", .length = 8};
    struct object_bytes bytes = make_bsd_archive("__.SYMDEF", 4, "two", &bitcode);
    struct error error;
    for (size_t at = 8 + 60 + 12; at < 8 + 60 + 12 + 20; at++) {
        uint8_t before = bytes.bytes[at];
        for (unsigned value = 0; value < 256; value += 51) {
            bytes.bytes[at] = (uint8_t)value;
            int code = open_code(bytes.bytes, bytes.length, &error);
            cr_assert(code == 0 || code == ERROR_OBJECT_TRUNCATED, "byte %zu: %s", at, error.text);
        }
        bytes.bytes[at] = before;
    }
    object_free(&bytes);
}

Test(archive, a_long_name_of_bsd_lies_within_its_member)
{
    struct object_bytes bitcode = {.bytes = (uint8_t *)"BC\xc0\xde....", .length = 8};
    struct object_bytes bytes = make_bsd_archive("__.SYMDEF", 4, "two", &bitcode);
    struct error error;
    char *name = memmem(bytes.bytes + 60, bytes.length - 60, "#1/24", 5);
    cr_assert(name);
    memcpy(name, "#1/32", 5); /* all of the member */
    cr_expect_eq(open_code(bytes.bytes, bytes.length, &error), 0, "%s", error.text);
    memcpy(name, "#1/33", 5);
    cr_expect_eq(open_code(bytes.bytes, bytes.length, &error), ERROR_OBJECT_FORMAT);
    memcpy(name, "#1/-1", 5);
    cr_expect_eq(open_code(bytes.bytes, bytes.length, &error), ERROR_OBJECT_FORMAT);
    memcpy(name, "#1/0 ", 5);
    cr_expect_eq(open_code(bytes.bytes, bytes.length, &error), ERROR_OBJECT_FORMAT);
    object_free(&bytes);
}

/* ---- thin archives ---- */

struct thin_fixture {
    struct object_bytes archive, one, two;
    struct shelf shelf;
    struct archive_files files;
};

/* A thin archive x/lib.a of x/one.o and x/below/two.o, as the system's ar makes it. */
static void make_thin(struct thin_fixture *fixture, const char *flags)
{
    struct temp temp = temp_make();
    char path[512], command[1024];
    put_object(&temp, "one.o", "int one(void) { return 1; }");
    snprintf(command, sizeof command, "mkdir %s/below", temp.path);
    cr_assert(system(command) == 0);
    put_object(&temp, "below/two.o", "int two = 2;");
    snprintf(command, sizeof command, "cd %s && ar %s lib.a one.o below/two.o", temp.path, flags);
    cr_assert(system(command) == 0);
    fixture->archive = object_read(temp_path(&temp, "lib.a", path));
    fixture->one = object_read(temp_path(&temp, "one.o", path));
    fixture->two = object_read(temp_path(&temp, "below/two.o", path));
    fixture->shelf = (struct shelf){{{"x/one.o", fixture->one.bytes, fixture->one.length},
                                     {"x/below/two.o", fixture->two.bytes, fixture->two.length}}};
    fixture->files = (struct archive_files){.open = open_from_shelf, .data = &fixture->shelf};
    temp_remove(&temp);
}

static void free_thin(struct thin_fixture *fixture)
{
    object_free(&fixture->archive);
    object_free(&fixture->one);
    object_free(&fixture->two);
}

static int open_thin(struct thin_fixture *fixture, struct archive *archive, struct error *error)
{
    return archive_open(archive, "x/lib.a", fixture->archive.bytes, fixture->archive.length, &fixture->files, error);
}

Test(archive, a_thin_one_has_its_members_beside_it)
{
    static const char *const flags[] = {"rcsT", "rcST"};
    for (size_t i = 0; i < 2; i++) {
        struct thin_fixture fixture;
        struct archive archive;
        struct error error;
        make_thin(&fixture, flags[i]);
        cr_assert_eq(open_thin(&fixture, &archive, &error), 0, "%s", error.text);
        cr_expect(archive.thin);
        cr_expect_eq(archive.indexed, i == 0);
        cr_expect_str_eq(member_of(&archive, "one"), "one.o");
        cr_expect_str_eq(member_of(&archive, "two"), "below/two.o");
        cr_expect_eq(archive.members[1].bytes, fixture.two.bytes);
        archive_close(&archive);
        free_thin(&fixture);
    }
}

Test(archive, a_file_that_is_missing_is_known_by_the_index_alone)
{
    struct thin_fixture fixture;
    struct archive archive;
    struct error error;
    make_thin(&fixture, "rcsT");
    fixture.shelf.files[1].path = NULL;
    cr_assert_eq(open_thin(&fixture, &archive, &error), 0, "%s", error.text);
    cr_expect_str_eq(member_of(&archive, "two"), "below/two.o");
    cr_assert(archive.members[1].problem);
    cr_expect_str_eq(archive.members[1].problem, "x/below/two.o: not on the shelf");
    cr_expect_null(archive.members[1].bytes);
    archive_close(&archive);
    free_thin(&fixture);

    make_thin(&fixture, "rcST");
    fixture.shelf.files[1].path = NULL;
    cr_expect_eq(open_thin(&fixture, &archive, &error), ERROR_NOT_FOUND);
    cr_expect(strstr(error.text, "below/two.o: not on the shelf"), "%s", error.text);
    free_thin(&fixture);
}

/* "/0:POSITION", as ar writes it for members of an archive that is put into a thin one. */
static size_t make_outer(uint8_t *out, const char *inner, size_t position)
{
    char name[32], names[64];
    snprintf(names, sizeof names, "%s/\n", inner);
    snprintf(name, sizeof name, "/0:%zu", position);
    memcpy(out, "!<thin>\n", 8);
    size_t at = 8 + append_header(out + 8, "//", (strlen(names) + 1) & ~1ul);
    memset(out + at, '\n', 64);
    memcpy(out + at, names, strlen(names));
    at += (strlen(names) + 1) & ~1ul;
    return at + append_header(out + at, name, 0);
}

Test(archive, a_thin_one_has_members_of_other_archives)
{
    struct object_bytes inner = make_archive("rcS");
    struct shelf shelf = {{{"x/y/inner.a", inner.bytes, inner.length}}};
    struct archive_files files = {.open = open_from_shelf, .data = &shelf};
    /* Behind the table of names is the first member. */
    size_t first = (size_t)((uint8_t *)memmem(inner.bytes, inner.length, "one.o/ ", 7) - inner.bytes);
    uint8_t outer[300];
    struct archive archive;
    struct error error;
    size_t length = make_outer(outer, "y/inner.a", first);
    cr_assert_eq(archive_open(&archive, "x/outer.a", outer, length, &files, &error), 0, "%s", error.text);
    cr_expect_eq(archive.member_count, 1);
    cr_expect_str_eq(member_of(&archive, "one"), "one.o");
    archive_close(&archive);
    /* Without an index nothing can be said of a member that is not there. */
    static const struct {
        const char *inner;
        long off;
        const char *words;
    } rows[] = {{"y/inner.a", 2, "no member at offset"},
                {"y/other.a", 0, "x/y/other.a: not on the shelf"},
                {"outer.a", 0, "contains itself"}};
    for (size_t i = 0; i < 3; i++) {
        length = make_outer(outer, rows[i].inner, first + (size_t)rows[i].off);
        shelf.files[1].path = "x/outer.a";
        shelf.files[1].bytes = outer;
        shelf.files[1].length = length;
        cr_expect_eq(archive_open(&archive, "x/outer.a", outer, length, &files, &error), ERROR_NOT_FOUND);
        cr_expect(strstr(error.text, rows[i].words), "%s", error.text);
    }
    object_free(&inner);
}

Test(archive, a_name_outside_the_table_of_names_is_refused)
{
    struct error error;
    uint8_t outer[300];
    size_t length = make_outer(outer, "y/inner.a", 8);
    uint8_t *name = memmem(outer, length, "/0:8", 4);
    static const char *const names[] = {"/12:", "/99:", "/x:8", "/0:x", "/:8 ", "/999"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        memcpy(name, names[i], 4);
        cr_expect_eq(open_code(outer, length, &error), ERROR_OBJECT_FORMAT, "%s: %s", names[i], error.text);
    }
}

Test(archive, a_path_that_looks_like_an_index_is_none)
{
    static const char *const names[] = {"__.SYMDEF", "/", "//"};
    for (size_t i = 0; i < 3; i++) {
        struct error error;
        uint8_t outer[300];
        size_t length = make_outer(outer, names[i], 8);
        memcpy(memmem(outer, length, "/0:8", 4), "/0  ", 4);
        memcpy(outer + length - 12, "999999", 6); /* the size of its file */
        int code = open_code(outer, length, &error);
        cr_expect(code == ERROR_NOT_FOUND || code == ERROR_OBJECT_FORMAT, "%s: %s", names[i], error.text);
    }
}

Test(archive, every_truncation_of_a_thin_one_is_safe)
{
    struct thin_fixture fixture;
    struct archive archive;
    struct error error;
    make_thin(&fixture, "rcsT");
    for (; fixture.archive.length > 0; fixture.archive.length--)
        if (open_thin(&fixture, &archive, &error) == 0)
            archive_close(&archive);
    free_thin(&fixture);
}

Test(archive, code_for_a_compiler_is_known_by_the_index_alone)
{
    struct temp temp = temp_make();
    char path[512], command[1024];
    snprintf(command, sizeof command,
             "cd %s && echo 'int slim(void) { return 1; }' >s.c && gcc -flto -c s.c && ar rcs lib.a s.o && "
             "ar rcS noindex.a s.o && gcc -flto -ffat-lto-objects -c s.c && ar rcS fat.a s.o",
             temp.path);
    cr_assert(system(command) == 0);
    static const struct {
        const char *name;
        bool known;
        const char *member;
    } rows[] = {{"lib.a", false, "s.o"}, {"noindex.a", false, "none"}, {"fat.a", true, "s.o"}};
    for (size_t i = 0; i < 3; i++) {
        struct object_bytes bytes = object_read(temp_path(&temp, rows[i].name, path));
        struct archive archive;
        struct error error;
        cr_assert_eq(archive_open(&archive, "lib.a", bytes.bytes, bytes.length, &no_files, &error), 0);
        cr_expect_eq(archive.members[0].known, rows[i].known, "%s", rows[i].name);
        cr_expect_str_eq(member_of(&archive, "slim"), rows[i].member, "%s", rows[i].name);
        archive_close(&archive);
        object_free(&bytes);
    }
    temp_remove(&temp);
}

Test(archive, accepts_one_without_members)
{
    struct error error;
    cr_assert_eq(open_code("!<arch>\n", 8, &error), 0);
    cr_assert_eq(open_code("!<thin>\n", 8, &error), 0);
    cr_assert_not(archive_recognise("!<arch>", 7));
    cr_assert(archive_recognise("!<thin>\n", 8));
}
