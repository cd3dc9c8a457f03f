/*
 * A writer of JSON: it puts commas, indentation and escapes where they belong, and keeps nothing.
 *
 * A key is given for members of objects and NULL for elements of arrays and the outermost value. Addresses are written
 * as strings ("0x7f..."), since a JSON number is a double to many readers. ELF names need not be UTF-8: what is not is
 * replaced by U+FFFD, so that the output always is.
 */
#ifndef JITCTL_JSON_H
#define JITCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out; /* borrowed */
    unsigned depth;
    bool separate; /* something stands before at this depth */
};

void json_init(struct json *json, FILE *out);

/* bracket is '{' or '['; json_close gets its counterpart. Closing the outermost one ends the line. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

void json_string(struct json *json, const char *key, const char *value);
void json_bytes(struct json *json, const char *key, const void *bytes, size_t length); /* a string */
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_address(struct json *json, const char *key, uint64_t value);
void json_boolean(struct json *json, const char *key, bool value);

#endif
