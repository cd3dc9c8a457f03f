/*
 * The JSON writer (RFC 8259). Indentation is two blanks a level; short leaf objects stay readable enough that way.
 */
#include "client/jitctl/json.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "client/jitctl/name.h"

static void json_quote(FILE *out, const void *text, size_t length)
{
    const unsigned char *at = text;
    fputc('"', out);
    while (length) {
        size_t sequence = name_sequence(at, length);
        size_t taken = sequence ? sequence : 1;
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (sequence)
            fwrite(at, 1, sequence, out);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputs("\xef\xbf\xbd", out);
        at += taken;
        length -= taken;
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
        json_quote(json->out, key, strlen(key));
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
    json_bytes(json, key, value, strlen(value));
}

void json_bytes(struct json *json, const char *key, const void *bytes, size_t length)
{
    json_begin(json, key);
    json_quote(json->out, bytes, length);
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
