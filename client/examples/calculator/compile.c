/*
 * A parser that emits code as it goes. Every expression leaves its value in rax; what must wait for it is pushed twice,
 * so that the stack is always a multiple of 16 bytes, as calls want it. Nothing is optimised. The first error stands;
 * what is parsed after it does no harm.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "calculator.h"

static void expression(struct line *line, int precedence);

static void fail(struct line *line, const char *error)
{
    if (line->error)
        return;
    line->error = error;
    line->error_at = line->at;
}

static void emit(struct line *line, const void *bytes, size_t count)
{
    if (line->code_bytes + count > sizeof line->code) {
        fail(line, "too much for one function");
    } else {
        memcpy(line->code + line->code_bytes, bytes, count);
        line->code_bytes += (uint32_t)count;
    }
}

/* Instructions as a string of their bytes, of which none is 0. */
#define EMIT(line, bytes) emit(line, bytes, strlen(bytes))

/* One that ends with a displacement of 32 bits, which is filled in later; gives its place. */
#define EMIT_JUMP(line, bytes) (EMIT(line, bytes), emit(line, "\0\0\0", 4), (line)->code_bytes - 4)

static void jump_here(struct line *line, uint32_t at)
{
    uint32_t displacement = line->code_bytes - (at + 4);

    memcpy(line->code + at, &displacement, sizeof displacement);
}

/* Each function keeps the address of its first value at rbp - 16: one that gets unboxed values boxes them. Six whatever
   their number, and six are loaded where a call wants them unboxed: nobody looks at those that are too many. */
#define ENTER "\x55\x48\x89\xe5WW"               /* push rbp; mov rbp, rsp; push rdi, twice */
#define BOX   "WWVVRRQQAPAPAQAQ\x48\x8d\x7d\xe0" /* push rdi, rsi, rdx, rcx, r8, r9, each twice; lea rdi, [rbp - 32] */
#define UNBOX /* mov r9, [rdi - 80]; r8, [rdi - 64]; rcx, [rdi - 48]; rdx, [rdi - 32]; rsi, [rdi - 16]; rdi, [rdi] */  \
    "\x4c\x8b\x4f\xb0\x4c\x8b\x47\xc0\x48\x8b\x4f\xd0\x48\x8b\x57\xe0\x48\x8b\x77\xf0\x48\x8b\x3f"
#define LEAVE "\xc9\xc3" /* leave; ret */

/* Whether the text goes on with that sign, which is then behind us. */
static bool take(struct line *line, const char *sign)
{
    const char *at = line->at + strspn(line->at, " \t\r");

    if (strncmp(at, sign, strlen(sign)) != 0)
        return false;
    line->at = at + strlen(sign);
    return true;
}

static void want(struct line *line, const char *sign, const char *error)
{
    if (!take(line, sign))
        fail(line, error);
}

static bool take_name(struct line *line, char name[NAME_BYTES])
{
    take(line, "");
    size_t length = strspn(line->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");

    if (length == 0 || length >= NAME_BYTES)
        return false;
    memcpy(name, line->at, length);
    name[length] = '\0';
    return take(line, name);
}

/* Behind "NAME(" or "NAME[". Arguments wait on the stack until all of them are known, since each may hold calls. */
static void call(struct line *line, const char *name, bool boxed)
{
    unsigned count = 0;

    while (!line->error && !take(line, boxed ? "]" : ")")) {
        if (count > 0)
            want(line, ",", boxed ? "',' or ']' is missing" : "',' or ')' is missing");
        if (count++ == MOST_PARAMETERS)
            fail(line, "more than six arguments");
        expression(line, 0);
        EMIT(line, "\x50\x50"); /* push rax, twice */
    }
    const uint8_t first[] = {0x48, 0x8d, 0x7c, 0x24, (uint8_t)(16 * count - 16)}; /* lea rdi, [rsp + 16 * count - 16] */
    const uint8_t drop[] = {0x48, 0x83, 0xc4, (uint8_t)(16 * count)};             /* add rsp, 16 * count */
    emit(line, first, sizeof first);
    if (!boxed)
        EMIT(line, UNBOX);
    struct call call = {.convention = boxed ? BOXED(count) : UNBOXED(count), .at = EMIT_JUMP(line, "\xe8")};
    emit(line, drop, sizeof drop);
    strcpy(call.name, name);
    if (line->call_count < MOST_CALLS)
        line->calls[line->call_count++] = call;
    else
        fail(line, "too much for one function");
}

/* Behind "if". */
static void conditional(struct line *line)
{
    expression(line, 0);
    want(line, "then", "'then' is missing");
    uint32_t to_else = EMIT_JUMP(line, "\x48\x85\xc0\x0f\x84"); /* test rax, rax; jz */
    expression(line, 0);
    want(line, "else", "'else' is missing");
    uint32_t to_end = EMIT_JUMP(line, "\xe9"); /* jmp */
    jump_here(line, to_else);
    expression(line, 0);
    jump_here(line, to_end);
}

static void parameter(struct line *line, const char *name)
{
    unsigned i = 0;

    while (i < line->parameter_count && strcmp(line->parameters[i], name) != 0)
        i++;
    if (i == line->parameter_count) {
        line->at -= strlen(name);
        fail(line, "no parameter is called that");
    }
    const uint8_t load[] = {0x48, 0x8b, 0x47, (uint8_t)(-16 * (int)i)}; /* mov rax, [rdi - 16 * i] */
    EMIT(line, "\x48\x8b\x7d\xf0");                                     /* mov rdi, [rbp - 16] */
    emit(line, load, sizeof load);
}

static void operand(struct line *line)
{
    char name[NAME_BYTES];

    take(line, "");
    if (take(line, "(")) {
        expression(line, 0);
        want(line, ")", "')' is missing");
    } else if (take(line, "-")) {
        operand(line);
        EMIT(line, "\x48\xf7\xd8"); /* neg rax */
    } else if (isdigit((unsigned char)*line->at)) {
        errno = 0;
        int64_t value = strtoll(line->at, (char **)&line->at, 10);
        if (errno != 0)
            fail(line, "the number is too large");
        EMIT(line, "\x48\xb8"); /* mov rax, value */
        emit(line, &value, sizeof value);
    } else if (!take_name(line, name)) {
        fail(line, "a number, a short name or '(' is missing");
    } else if (strcmp(name, "if") == 0) {
        conditional(line);
    } else if (take(line, "(") || take(line, "[")) {
        call(line, name, line->at[-1] == '[');
    } else {
        parameter(line, name);
    }
}

/* Code that makes rax of rax and rcx. */
#define COMPARE(condition) "\x48\x39\xc8\x0f" condition "\xc0\x0f\xb6\xc0" /* cmp rax, rcx; setCC al; movzx eax, al */
static const struct binary {
    const char *sign;
    int precedence;
    const char *code;
} binaries[] = {
    {"=", 1, COMPARE("\x94")},        /* sete */
    {"<", 1, COMPARE("\x9c")},        /* setl */
    {">", 1, COMPARE("\x9f")},        /* setg */
    {"+", 2, "\x48\x01\xc8"},         /* add rax, rcx */
    {"-", 2, "\x48\x29\xc8"},         /* sub rax, rcx */
    {"*", 3, "\x48\x0f\xaf\xc1"},     /* imul rax, rcx */
    {"/", 3, "\x48\x99\x48\xf7\xf9"}, /* cqo; idiv rcx */
    {0},
};

/* As far as signs go that bind more closely than `precedence`. */
static void expression(struct line *line, int precedence)
{
    const struct binary *binary = binaries;

    operand(line);
    while (binary->sign && !line->error)
        if (binary->precedence > precedence && take(line, binary->sign)) {
            EMIT(line, "\x50\x50"); /* push rax, twice */
            expression(line, binary->precedence);
            EMIT(line, "\x48\x89\xc1\x58\x58"); /* mov rcx, rax; pop rax, twice */
            EMIT(line, binary->code);
            binary = binaries;
        } else {
            binary++;
        }
}

/* "NAME(NAME, ...) =" or "NAME[NAME, ...] =", or nothing of it: then the line is an expression. */
static bool head(struct line *line)
{
    unsigned count = 0;

    if (!take_name(line, line->name) || strcmp(line->name, "if") == 0 || !(take(line, "(") || take(line, "[")))
        return false;
    bool boxed = line->at[-1] == '[';
    do
        count += take_name(line, line->parameters[count]);
    while (count <= MOST_PARAMETERS && take(line, ","));
    if (count > MOST_PARAMETERS)
        fail(line, "more than six parameters");
    line->parameter_count = count;
    line->convention = boxed ? BOXED(count) : UNBOXED(count);
    return line->error || (take(line, boxed ? "]" : ")") && take(line, "="));
}

void compile(struct line *line, const char *text)
{
    *line = (struct line){.at = text};
    if (strlen(text) > MOST_LINE)
        fail(line, "the line is too long");
    else if (!head(line))
        *line = (struct line){.at = text};
    EMIT(line, ENTER);
    if (line->convention < BOXED(0))
        EMIT(line, BOX "\x48\x89\x7d\xf0"); /* mov [rbp - 16], rdi */
    if (!line->error)
        expression(line, 0);
    EMIT(line, LEAVE);
    take(line, "");
    if (*line->at)
        fail(line, "the line goes on where it should end");
}

void compile_adapter(struct line *line, bool from_boxed)
{
    *line = (struct line){0};
    strcpy(line->name, from_boxed ? "unbox" : "box");
    EMIT(line, ENTER);
    EMIT(line, from_boxed ? UNBOX : BOX);
    EMIT(line, "\x41\xff\xd3" LEAVE); /* call r11 */
}
