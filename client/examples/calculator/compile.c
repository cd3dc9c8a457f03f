/*
 * A parser that emits code as it goes. Every expression leaves its value in rax; what must wait for it is pushed twice,
 * so that the stack is always a multiple of 16 bytes, as calls want it. Nothing is optimised.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "calculator.h"

struct compiler {
    struct function *function;
    const char *at;
    const char *error; /* the first */
};

static void expression(struct compiler *compiler, int precedence);

static void fail(struct compiler *compiler, const char *error)
{
    if (!compiler->error)
        compiler->error = error;
}

static void emit(struct compiler *compiler, const void *bytes, size_t count)
{
    struct function *function = compiler->function;

    if (function->code_bytes + count > sizeof function->code) {
        fail(compiler, "too much for one function");
    } else {
        memcpy(function->code + function->code_bytes, bytes, count);
        function->code_bytes += (uint32_t)count;
    }
}

/* Instructions as a string of their bytes. */
#define EMIT(compiler, bytes) emit(compiler, bytes, sizeof(bytes) - 1)

/* An instruction that ends with a displacement of 32 bits, which is filled in later; gives its place. */
#define EMIT_JUMP(compiler, bytes) (EMIT(compiler, bytes "\0\0\0\0"), (compiler)->function->code_bytes - 4)

static void jump_here(struct compiler *compiler, uint32_t at)
{
    int32_t displacement = (int32_t)(compiler->function->code_bytes - (at + 4));

    if (!compiler->error)
        memcpy(compiler->function->code + at, &displacement, sizeof displacement);
}

/* rdi, rsi, rdx, rcx, r8, r9 (psABI 3.2.3), each twice. */
static const char *const push_parameter[MOST_PARAMETERS] = {"WW", "VV", "RR", "QQ", "APAP", "AQAQ"};
static const char *const pop_argument[MOST_PARAMETERS] = {"__", "^^", "ZZ", "YY", "AXAX", "AYAY"};

/* Whether the text goes on with that sign, which is then behind us. */
static bool take(struct compiler *compiler, const char *sign)
{
    compiler->at += strspn(compiler->at, " \t\r\n");
    if (strncmp(compiler->at, sign, strlen(sign)) != 0)
        return false;
    compiler->at += strlen(sign);
    return true;
}

static bool take_name(struct compiler *compiler, char name[NAME_BYTES])
{
    take(compiler, "");
    size_t length = strspn(compiler->at, "abcdefghijklmnopqrstuvwxyz_");

    if (length == 0 || length >= NAME_BYTES)
        return false;
    memcpy(name, compiler->at, length);
    name[length] = '\0';
    return take(compiler, name);
}

static void want(struct compiler *compiler, const char *sign, const char *error)
{
    if (!take(compiler, sign))
        fail(compiler, error);
}

static void parameter(struct compiler *compiler, const char *name)
{
    const struct function *function = compiler->function;
    unsigned i = 0;

    while (i < function->parameter_count && strcmp(function->parameters[i], name) != 0)
        i++;
    if (i == function->parameter_count)
        fail(compiler, "no parameter is called that");
    const uint8_t load[] = {0x48, 0x8b, 0x45, (uint8_t)(-16 * (int)(i + 1))}; /* mov rax, [rbp - 16 * (i + 1)] */
    emit(compiler, load, sizeof load);
}

/* What has been pushed become arguments; boxed ones stay where they are. */
static void pass(struct compiler *compiler, unsigned count, bool boxed)
{
    if (boxed)
        EMIT(compiler, "\x48\x89\xe7"); /* mov rdi, rsp */
    for (unsigned i = count; i-- > 0 && !boxed;)
        emit(compiler, pop_argument[i], strlen(pop_argument[i]));
}

/* Behind "NAME(" or "NAME[". Arguments wait until all of them are known, since each may hold calls of its own. */
static void call(struct compiler *compiler, const char *name, bool boxed)
{
    struct function *function = compiler->function;
    const char *end = boxed ? "]" : ")";
    unsigned count = 0;

    if (!take(compiler, end)) {
        do {
            expression(compiler, 0);
            EMIT(compiler, "\x50\x50"); /* push rax, twice */
            count++;
        } while (take(compiler, ",") && count < MOST_PARAMETERS);
        want(compiler, end, "')' or ']' is missing, or there are more than six arguments");
    }
    pass(compiler, count, boxed);
    struct call call = {.convention = boxed ? BOXED(count) : UNBOXED(count), .at = EMIT_JUMP(compiler, "\xe8")};
    const uint8_t drop[] = {0x48, 0x83, 0xc4, (uint8_t)(16 * count)}; /* add rsp, 16 * count */
    emit(compiler, drop, boxed ? sizeof drop : 0);
    strcpy(call.name, name);
    if (function->call_count < MOST_CALLS)
        function->calls[function->call_count++] = call;
    else
        fail(compiler, "too much for one function");
}

/* Behind "if". */
static void conditional(struct compiler *compiler)
{
    expression(compiler, 0);
    want(compiler, "then", "'then' is missing");
    uint32_t to_else = EMIT_JUMP(compiler, "\x48\x85\xc0\x0f\x84"); /* test rax, rax; jz */
    expression(compiler, 0);
    want(compiler, "else", "'else' is missing");
    uint32_t to_end = EMIT_JUMP(compiler, "\xe9"); /* jmp */
    jump_here(compiler, to_else);
    expression(compiler, 0);
    jump_here(compiler, to_end);
}

static void operand(struct compiler *compiler)
{
    char name[NAME_BYTES];

    if (take(compiler, "(")) {
        expression(compiler, 0);
        want(compiler, ")", "')' is missing");
    } else if (isdigit((unsigned char)*compiler->at)) {
        char *end;
        uint64_t value = strtoull(compiler->at, &end, 10);
        compiler->at = end;
        EMIT(compiler, "\x48\xb8"); /* mov rax, value */
        emit(compiler, &value, sizeof value);
    } else if (!take_name(compiler, name)) {
        fail(compiler, "a number, a short name or '(' is missing");
    } else if (strcmp(name, "if") == 0) {
        conditional(compiler);
    } else if (take(compiler, "(")) {
        call(compiler, name, false);
    } else if (take(compiler, "[")) {
        call(compiler, name, true);
    } else {
        parameter(compiler, name);
    }
}

/* Code that makes rax of rax and rcx. */
#define COMPARE(condition) "\x48\x39\xc8\x0f" condition "\xc0\x0f\xb6\xc0" /* cmp rax, rcx; setCC al; movzx eax, al */
static const struct {
    const char *sign;
    int precedence;
    const char *code;
} operators[] = {
    {"=", 1, COMPARE("\x94")},        /* sete */
    {"<", 1, COMPARE("\x9c")},        /* setl */
    {"+", 2, "\x48\x01\xc8"},         /* add rax, rcx */
    {"-", 2, "\x48\x29\xc8"},         /* sub rax, rcx */
    {"*", 3, "\x48\x0f\xaf\xc1"},     /* imul rax, rcx */
    {"/", 3, "\x48\x99\x48\xf7\xf9"}, /* cqo; idiv rcx */
};

/* As far as signs go that bind more closely than `precedence`. */
static void expression(struct compiler *compiler, int precedence)
{
    size_t i = 0;

    operand(compiler);
    while (!compiler->error && i < sizeof operators / sizeof operators[0])
        if (operators[i].precedence > precedence && take(compiler, operators[i].sign)) {
            EMIT(compiler, "\x50\x50"); /* push rax, twice */
            expression(compiler, operators[i].precedence);
            EMIT(compiler, "\x48\x89\xc1\x58\x58"); /* mov rcx, rax; pop rax, twice */
            emit(compiler, operators[i].code, strlen(operators[i].code));
            i = 0;
        } else {
            i++;
        }
}

/* "NAME(NAME, ...) =" or "NAME[NAME, ...] =", or nothing of it: then the line is an expression. */
static bool head(struct compiler *compiler)
{
    struct function *function = compiler->function;
    bool boxed;

    if (!take_name(compiler, function->name) || !((boxed = take(compiler, "[")) || take(compiler, "(")))
        return false;
    do
        function->parameter_count += take_name(compiler, function->parameters[function->parameter_count]);
    while (function->parameter_count < MOST_PARAMETERS && take(compiler, ","));
    function->convention = boxed ? BOXED(function->parameter_count) : UNBOXED(function->parameter_count);
    return take(compiler, boxed ? "]" : ")") && take(compiler, "=");
}

static void enter(struct compiler *compiler, unsigned count, bool boxed)
{
    EMIT(compiler, "\x55\x48\x89\xe5"); /* push rbp; mov rbp, rsp */
    for (unsigned i = 0; i < count; i++) {
        const uint8_t at = (uint8_t)(16 * (count - 1 - i));
        const uint8_t push[] = {0xff, 0x77, at, 0xff, 0x77, at}; /* push [rdi + at], twice */
        emit(compiler, boxed ? (const char *)push : push_parameter[i], boxed ? 6 : strlen(push_parameter[i]));
    }
}

void compile_adapter(unsigned argument_count, bool from_boxed, struct function *function)
{
    struct compiler compiler = {.function = function};

    *function = (struct function){0};
    enter(&compiler, argument_count, from_boxed);
    pass(&compiler, argument_count, !from_boxed);
    EMIT(&compiler, "\x41\xff\xd3\xc9\xc3"); /* call r11; leave; ret */
}

const char *compile(const char *line, struct function *function)
{
    struct compiler compiler = {.function = function, .at = line};

    *function = (struct function){0};
    if (!head(&compiler)) {
        *function = (struct function){0};
        compiler.at = line;
    }
    enter(&compiler, function->parameter_count, function->convention >= BOXED(0));
    expression(&compiler, 0);
    EMIT(&compiler, "\xc9\xc3"); /* leave; ret */
    take(&compiler, "");
    if (*compiler.at)
        fail(&compiler, "the line goes on where it should end");
    return compiler.error;
}
