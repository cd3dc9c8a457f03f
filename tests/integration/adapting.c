#include "tests/integration/adapting.h"

static const char box_source[] = ".globl plain_to_boxed, boxed_of\n"
                                 ".type plain_to_boxed, @function\n"
                                 "plain_to_boxed:\n .cfi_startproc\n sub $24, %rsp\n .cfi_adjust_cfa_offset 24\n"
                                 " incq counter(%rip)\n mov %rdi, 8(%rsp)\n lea 8(%rsp), %rdi\n call *%r11\n"
                                 " add $24, %rsp\n .cfi_adjust_cfa_offset -24\n ret\n .cfi_endproc\n"
                                 ".type boxed_of, @function\nboxed_of:\n mov counter(%rip), %rax\n ret\n"
                                 ".bss\n.p2align 3\ncounter: .quad 0\n.section .note.GNU-stack,\"\",@progbits\n";

static const char unbox_source[] = ".globl boxed_to_plain, plain_of\n"
                                   ".type boxed_to_plain, @function\n"
                                   "boxed_to_plain:\n incq counter(%rip)\n mov (%rdi), %rdi\n jmp *%r11\n"
                                   ".type plain_of, @function\nplain_of:\n mov counter(%rip), %rax\n ret\n"
                                   ".bss\n.p2align 3\ncounter: .quad 0\n.section .note.GNU-stack,\"\",@progbits\n";

int adapting_register_from(struct harness *harness, uint32_t library, const char *symbol, uint64_t wanted,
                           uint64_t given)
{
    jitd_request request;
    struct harness_error answer = {.code = HARNESS_UNANSWERED};
    cr_assert_eq(jitd_adapt(harness->session, library, symbol, wanted, given, harness_done, &answer, &request), 0);
    harness_wait(harness, request);
    return answer.code;
}

int adapting_register(struct harness *harness, const char *symbol, uint64_t wanted, uint64_t given)
{
    return adapting_register_from(harness, JITD_LIBRARY_MAIN, symbol, wanted, given);
}

void adapting_add(struct harness *harness)
{
    int told = harness->told;
    harness_add_assembly(harness, "box.s", box_source);
    harness_add_assembly(harness, "unbox.s", unbox_source);
    harness_accept(harness, 0);
    harness_dispatch_until(harness, &harness->told, told + 2);
    cr_assert_eq(adapting_register(harness, "plain_to_boxed", PLAIN, BOXED), 0);
    cr_assert_eq(adapting_register(harness, "boxed_to_plain", BOXED, PLAIN), 0);
}

struct harness *adapting_open(void)
{
    struct harness *harness = harness_open(NULL);
    adapting_add(harness);
    return harness;
}

int64_t adapting_entered(struct harness *harness, int convention)
{
    return harness_value(harness, convention == BOXED ? "boxed_of" : "plain_of", 0);
}

void adapting_link_function(struct harness *harness, const char *name, const char *source, uint64_t convention)
{
    harness_link_named(harness, name, source,
                       &(struct jitd_manifest){DEFINITIONS({.local = "f", .global = name, .convention = convention})});
}

const char *const adapting_caller_sources[] = {
    [PLAIN] = "long g(long n);\nlong call(long n) { return g(n) + 1; }\nlong (*address(void))(long) { return g; }",
    [BOXED] = "long g(const long *n);\nlong call(long n) { return g(&n) + 1; }\n"
              "long (*address(void))(const long *) { return g; }",
};

void adapting_submit_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                            unsigned flags)
{
    harness_submit_named(
        harness, name, adapting_caller_sources[convention],
        &(struct jitd_manifest){DEFINITIONS({.local = "call", .global = name}),
                                USES({.local = "g", .global = callee, .flags = flags, .convention = convention})});
}

void adapting_link_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                          unsigned flags)
{
    adapting_submit_caller(harness, name, callee, convention, flags);
    harness_expect_ready(harness, name);
}

void adapting_link_lazy(struct harness *harness, const char *name, const char *body)
{
    harness_link_named(harness, name, NULL,
                       &(struct jitd_manifest){LAZIES({.name = name, .target = body, .convention = BOXED})});
}
