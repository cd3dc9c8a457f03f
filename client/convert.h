/*
 * From messages to the structs of jitd.h and back.
 *
 * What is converted is allocated in a pool and lives as long as it. A converter notes a failed allocation and goes on
 * with empty strings and lists, so that the caller asks once, at the end. Names travel as bytes and are shown as C
 * strings: one with a NUL inside shows up to it. Numbers come from the daemon unchecked where any number is harmless.
 */
#ifndef CLIENT_CONVERT_H
#define CLIENT_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/jitd.h"
#include "common/error.h"
#include "common/pool.h"
#include "proto/message.h"

struct converter {
    struct pool *pool; /* borrowed */
    bool failed;
};

/* ERROR_NO_MEMORY where an allocation failed, else 0. */
int convert_result(const struct converter *converter, struct error *error);

/* NULL on failure. */
void *convert_array(struct converter *converter, size_t count, size_t size);

/* Never NULL. */
const char *convert_string(struct converter *converter, const ProtobufCBinaryData *bytes);
const char *const *convert_strings(struct converter *converter, const ProtobufCBinaryData *list, size_t count);

/* At least one entry, whose code is not 0, whatever the daemon sent. */
struct jitd_errors convert_errors(struct converter *converter, Jitd__Proto__Error *const *list, size_t count,
                                  size_t omitted);

const struct jitd_definition *convert_definitions(struct converter *converter, Jitd__Proto__Definition *const *list,
                                                  size_t count);
void convert_end(struct converter *converter, const Jitd__Proto__Ended *ended, struct jitd_end *out);

/* Lists of plain numbers stay where the message has them, which must live as long as *out. */
void convert_inspection(struct converter *converter, const Jitd__Proto__Inspection *inspection,
                        struct jitd_inspection *out);

void convert_welcome(struct converter *converter, const Jitd__Proto__Welcome *welcome, struct jitd_welcome *out);

/* Values as the C ABI widens them. NULL is a void value. */
struct jitd_value convert_value(const Jitd__Proto__Value *value);
uint64_t convert_bits(const struct jitd_value *value);

/* Borrows the bytes of a C string; NULL is empty. */
ProtobufCBinaryData convert_borrow(const char *string);

/* Shows an error of our own; *out points into *error. */
void convert_error(const struct error *error, struct jitd_error *out);

/* The other way: keeps what fits of an error that the daemon sent. Returns its code. */
int convert_keep(const struct jitd_error *shown, struct error *out);

#endif
