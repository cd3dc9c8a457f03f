/*
 * proto/frame: the 32 bytes, and each way in which they can be wrong.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/frame.h"
#include "proto/limits.h"

static const struct frame_header sample = {
    .type = 2, .request = 0x1122334455667788, .message_bytes = 312, .attachment_bytes = 2048, .descriptors = 3};

Test(frame, has_the_documented_bytes)
{
    static const uint8_t expected[FRAME_BYTES] = {0x01, 'T',  'I',  'J',  2,    0,    0, 0, 0x88, 0x77, 0x66,
                                                  0x55, 0x44, 0x33, 0x22, 0x11, 0x38, 1, 0, 0,    0,    8,
                                                  0,    0,    3,    0,    0,    0,    0, 0, 0,    0};
    uint8_t bytes[FRAME_BYTES];
    frame_encode(&sample, bytes);
    cr_expect_arr_eq(bytes, expected, FRAME_BYTES);
}

Test(frame, decodes_what_it_encodes)
{
    uint8_t bytes[FRAME_BYTES];
    struct frame_header header;
    struct error error;
    frame_encode(&sample, bytes);
    cr_assert_eq(frame_decode(bytes, &header, &error), 0);
    cr_expect_eq(header.type, sample.type);
    cr_expect_eq(header.flags, 0);
    cr_expect_eq(header.request, sample.request);
    cr_expect_eq(header.message_bytes, sample.message_bytes);
    cr_expect_eq(header.attachment_bytes, sample.attachment_bytes);
    cr_expect_eq(header.descriptors, sample.descriptors);
}

Test(frame, accepts_the_limits_and_refuses_one_more)
{
    static const struct {
        uint32_t message, attachment, descriptors;
        int code;
    } rows[] = {
        {LIMIT_MESSAGE_BYTES, LIMIT_ATTACHMENT_BYTES, LIMIT_FRAME_DESCRIPTORS, 0},
        {LIMIT_MESSAGE_BYTES + 1, 0, 0, ERROR_LIMIT},
        {0, LIMIT_ATTACHMENT_BYTES + 1, 0, ERROR_LIMIT},
        {0, 0, LIMIT_FRAME_DESCRIPTORS + 1, ERROR_LIMIT},
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, ERROR_LIMIT},
        {0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct frame_header header = sample, out;
        header.message_bytes = rows[i].message;
        header.attachment_bytes = rows[i].attachment;
        header.descriptors = rows[i].descriptors;
        uint8_t bytes[FRAME_BYTES];
        frame_encode(&header, bytes);
        cr_expect_eq(frame_decode(bytes, &out, NULL), rows[i].code, "row %zu", i);
    }
}

Test(frame, refuses_each_wrong_byte_of_its_fixed_fields)
{
    static const struct {
        size_t at;
        int code;
    } rows[] = {
        {0, ERROR_VERSION},  {1, ERROR_PROTOCOL},  {2, ERROR_PROTOCOL},  {3, ERROR_PROTOCOL},  {6, ERROR_PROTOCOL},
        {7, ERROR_PROTOCOL}, {28, ERROR_PROTOCOL}, {29, ERROR_PROTOCOL}, {30, ERROR_PROTOCOL}, {31, ERROR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint8_t bytes[FRAME_BYTES];
        struct frame_header header;
        frame_encode(&sample, bytes);
        bytes[rows[i].at] ^= 0x42;
        cr_expect_eq(frame_decode(bytes, &header, NULL), rows[i].code, "byte %zu", rows[i].at);
    }
}

Test(frame, another_version_is_named)
{
    uint8_t bytes[FRAME_BYTES];
    struct frame_header header;
    struct error error;
    frame_encode(&sample, bytes);
    bytes[0] = 9;
    cr_expect_eq(frame_decode(bytes, &header, &error), ERROR_VERSION);
    cr_expect(strstr(error.text, "version 9") && strstr(error.text, "version 1"), "%s", error.text);
}
