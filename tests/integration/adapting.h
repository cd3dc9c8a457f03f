/*
 * Functions of two calling conventions, what calls them, and the adapters between the two.
 *
 * PLAIN takes a number, BOXED a pointer to one, SHIFTED a number in the second register. Adapters are assembly, since
 * no compiler knows the register in which they find their target, and count how often they are entered.
 */
#ifndef TESTS_INTEGRATION_ADAPTING_H
#define TESTS_INTEGRATION_ADAPTING_H

#include "tests/integration/harness.h"
#include "tests/integration/manifest.h"

enum { PLAIN, BOXED, SHIFTED };

/* f, which adds a number to what it is given. */
#define PLAIN_SOURCE(number) "long f(long n) { return n + " #number "; }"
#define BOXED_SOURCE(number) "long f(const long *n) { return *n + " #number "; }"

/* jitd_adapt, looked for from `library` on and from main: the error's code, or 0. */
int adapting_register_from(struct harness *harness, uint32_t library, const char *symbol, uint64_t wanted,
                           uint64_t given);
int adapting_register(struct harness *harness, const char *symbol, uint64_t wanted, uint64_t given);

/* Two adapters in units of their own: box.s for plain calls of boxed functions (plain_to_boxed), unbox.s for the other
   way (boxed_to_plain); and a session that has them. */
void adapting_add(struct harness *harness);
struct harness *adapting_open(void);

/* How often the adapter to the convention has been entered. */
int64_t adapting_entered(struct harness *harness, int convention);

/* `name` offers its f under that name, by that convention. */
void adapting_link_function(struct harness *harness, const char *name, const char *source, uint64_t convention);

/* `name` offers `name`, which calls `callee` by that convention, and `address`, which gives it: submitted, and linked.
 */
void adapting_submit_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                            unsigned flags);
void adapting_link_caller(struct harness *harness, const char *name, const char *callee, uint64_t convention,
                          unsigned flags);

/* What they are compiled from, by convention. */
extern const char *const adapting_caller_sources[];

/* A name of convention BOXED for `body`, which need not be there; its unit is called like it. */
void adapting_link_lazy(struct harness *harness, const char *name, const char *body);

#endif
