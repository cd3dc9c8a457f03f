/*
 * The JSON writer (RFC 8259). Indentation is two blanks a level; short leaf objects stay readable enough that way.
 */
#include "client/jitctl/json.h"

#include <inttypes.h>
#include <stddef.h>

/* The length of the well-formed UTF-8 sequence at `at`, or 0 (RFC 3629: shortest form, no surrogates, at most
   U+10FFFF). */
static size_t json_sequence(const unsigned char *at)
{
    static const struct {
        unsigned char low, high, second_low, second_high, length;
    } rows[] = {
        {0x20, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (at[0] < rows[i].low || at[0] > rows[i].high)
            continue;
        if (rows[i].length > 1 && (at[1] < rows[i].second_low || at[1] > rows[i].second_high))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

static void json_quote(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    fputc('"', out);
    while (*at) {
        size_t length = json_sequence(at);
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (length)
            fwrite(at, 1, length, out);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputs("\xef\xbf\xbd", out);
        at += length ? length : 1;
    }
    fputc('"', out);
}

static void json_newline(struct json *json)
{
    fprintf(json->out, "\n%*s", (int)(2 * json->depth), "");
}

static void json_begin(struct json *json, const char *key)
{
    if (json->separate)
        fputc(',', json->out);
    if (json->depth)
        json_newline(json);
    if (key) {
        json_quote(json->out, key);
        fputs(": ", json->out);
    }
    json->separate = true;
}

void json_init(struct json *json, FILE *out)
{
    *json = (struct json){.out = out};
}

void json_open(struct json *json, const char *key, char bracket)
{
    json_begin(json, key);
    fputc(bracket, json->out);
    json->depth++;
    json->separate = false;
}

void json_close(struct json *json, char bracket)
{
    bool empty = !json->separate;
    json->depth--;
    if (!empty)
        json_newline(json);
    fputc(bracket, json->out);
    if (json->depth == 0)
        fputc('\n', json->out);
    json->separate = true;
}

void json_string(struct json *json, const char *key, const char *value)
{
    json_begin(json, key);
    json_quote(json->out, value);
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
    json_begin(json, key);
    fprintf(json->out, "%" PRIu64, value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
    json_begin(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void json_address(struct json *json, const char *key, uint64_t value)
{
    json_begin(json, key);
    fprintf(json->out, "\"0x%" PRIx64 "\"", value);
}

void json_boolean(struct json *json, const char *key, bool value)
{
    json_begin(json, key);
    fputs(value ? "true" : "false", json->out);
}
