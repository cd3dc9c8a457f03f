/*
 * Runs $CC or cc (c++ for C++) in a temporary directory through the shell; its words are the tests' own.
 */
#include "tests/lib/compile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/temp.h"

struct object_bytes object_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s cannot be read", path);
    fseek(file, 0, SEEK_END);
    struct object_bytes object = {.length = (size_t)ftell(file)};
    rewind(file);
    object.bytes = malloc(object.length ? object.length : 1); /* exact: AddressSanitizer sees reads beyond */
    cr_assert(object.bytes && fread(object.bytes, 1, object.length, file) == object.length, "%s: short read", path);
    fclose(file);
    return object;
}

struct object_bytes object_copy(const struct object_bytes *object)
{
    struct object_bytes copy = {.bytes = malloc(object->length ? object->length : 1), .length = object->length};
    cr_assert(copy.bytes);
    memcpy(copy.bytes, object->bytes, object->length);
    return copy;
}

void object_free(struct object_bytes *object)
{
    free(object->bytes);
    *object = (struct object_bytes){0};
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s cannot be written", path);
}

static struct object_bytes compile(const char *compiler, const char *suffix, const char *source, const char *flags)
{
    struct temp temp = temp_make();
    char name[32], input[512], output[512], messages[512], command[2560];
    snprintf(name, sizeof name, "source.%s", suffix);
    write_file(temp_path(&temp, name, input), source);
    temp_path(&temp, "object.o", output);
    temp_path(&temp, "messages", messages);
    snprintf(command, sizeof command, "%s %s -c -o %s %s 2>%s", compiler, flags ? flags : "", output, input, messages);
    if (system(command) != 0) {
        struct object_bytes said = object_read(messages);
        temp_remove(&temp);
        cr_assert_fail("%s: %.*s", command, (int)said.length, (char *)said.bytes);
    }
    struct object_bytes object = object_read(output);
    temp_remove(&temp);
    return object;
}

struct object_bytes compile_c(const char *source, const char *flags)
{
    const char *compiler = getenv("CC");
    return compile(compiler ? compiler : "cc", "c", source, flags);
}

struct object_bytes compile_cxx(const char *source, const char *flags)
{
    const char *compiler = getenv("CXX");
    return compile(compiler ? compiler : "c++", "cc", source, flags);
}

struct object_bytes compile_assembly(const char *source, const char *flags)
{
    const char *compiler = getenv("CC");
    return compile(compiler ? compiler : "cc", "s", source, flags);
}
