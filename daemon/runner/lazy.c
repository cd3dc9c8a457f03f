/*
 * The C half of lazy_entry (lazy_entry_x86_64.S), and what it needs to know of the CPU.
 *
 * Any thread may come here: the main one, the agent, the program's own, each from a signal handler too, and again from
 * an initialiser that runs while it waits. So nothing is held here but a waiter, and one thread may hold several. A
 * handler that leaves by siglongjmp keeps what it holds for the rest of the process's life.
 *
 * The stack below the caller's frame holds the vector registers: some 2.7 KiB with AVX-512.
 */
#include "daemon/runner/lazy.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "common/bytes.h"
#include "common/delay.h"
#include "daemon/runner/crash_handler.h"
#include "daemon/runner/entry.h"
#include "daemon/runner/requests.h"
#include "daemon/runner/waiters.h"

#define FXSAVE_BYTES      512
#define XSAVE_HEADER_END  576 /* Intel SDM volume 1, 13.4 "XSAVE Area" */
#define PUSH_BYTES        5   /* 68 imm32 */
#define CPUID_XSAVE       0xd
#define CPUID_1_C_OSXSAVE (1u << 27)

/* Components that may hold arguments or belong to the caller: x87, SSE, AVX, MPX, AVX-512 and APX (bit 19). Not the
   tiles of AMX, which are large and no function's to keep; not PKRU, which initialisers may change for good. */
#define ARGUMENT_STATE 0x800ffu

/* Read by lazy_entry. */
uintptr_t lazy_slots;      /* zone S */
uintptr_t lazy_code;       /* zone X */
uint64_t lazy_last_push;   /* the last offset in X where a push could stand */
uint64_t lazy_state_bytes; /* room that the registers' state takes on the stack */
uint32_t lazy_state_mask;  /* components for XSAVE; 0: the CPU has FXSAVE alone */

void lazy_entry(void);
uint64_t lazy_wait(uint64_t slot);
_Noreturn void lazy_refused(const uint64_t registers[CRASH_REGISTERS]);
_Unwind_Reason_Code lazy_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class kind,
                                     struct _Unwind_Exception *exception, struct _Unwind_Context *context);

static const struct runner *lazy_runner;
static pid_t lazy_process;

static _Noreturn void lazy_die_forked(void)
{
    static const char text[] = "jitd: a forked process calls a function that is not linked yet, which only the process "
                               "that jitd started can wait for\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    crash_handler_die(SIGABRT);
}

/* With no waiter there is nobody whom the linker could tell anything. */
static uint64_t lazy_ask(uint64_t slot)
{
    struct channel *channel = lazy_runner->channel;
    uint32_t number = waiters_take(channel, requests_are_performed(), lazy_runner->startup.patience_ms);
    if (number == CHANNEL_WAITERS) {
        requests_give_up(lazy_runner, slot);
        return 0;
    }
    uint64_t address = requests_serve_waiter(lazy_runner, number, slot);
    waiters_release(channel, number);
    DELAY(); /* what lies at the address may be removed meanwhile */
    return address;
}

/* Called by lazy_entry: the address of the function, or 0 where nobody supplies it. A thread that is cancelled while it
   waits goes on waiting, since the linker counts on it. */
uint64_t lazy_wait(uint64_t slot)
{
    int error = errno, cancellation;
    if (getpid() != lazy_process)
        lazy_die_forked();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
    uint64_t address = lazy_ask(slot);
    pthread_setcancelstate(cancellation, NULL);
    errno = error;
    return address;
}

/* Called by lazy_entry with the caller's registers, on the caller's stack as that was. */
ENTERED _Noreturn void lazy_refused(const uint64_t registers[CRASH_REGISTERS])
{
    crash_handler_raise(SIGABRT, registers);
}

/* An exception that leaves an initialiser must not reach the function whose call happened to bring it: it ends the
   process, as it does where the main thread runs initialisers. What the called function throws never comes by here. */
ENTERED _Unwind_Reason_Code lazy_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class kind,
                                             struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
    (void)version;
    (void)kind;
    (void)exception;
    (void)context;
    return (actions & _UA_SEARCH_PHASE) != 0 ? _URC_FATAL_PHASE1_ERROR : _URC_CONTINUE_UNWIND;
}

/* XCR0: what the operating system lets programs use. 0 where there is no XSAVE. */
static uint32_t state_enabled(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & CPUID_1_C_OSXSAVE) == 0)
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

/* Where the last of the components ends in the standard format. */
static uint64_t state_size(uint32_t mask)
{
    uint64_t end = mask == 0 ? FXSAVE_BYTES : XSAVE_HEADER_END;
    for (uint32_t component = 2; component < 32; component++) {
        uint32_t size, offset, c, d;
        if ((mask & 1u << component) == 0)
            continue;
        __cpuid_count(CPUID_XSAVE, component, size, offset, c, d);
        end = max_u64(end, (uint64_t)offset + size);
    }
    return end;
}

uint64_t lazy_open(const struct runner *runner)
{
    lazy_runner = runner;
    lazy_slots = arena_zone(&runner->arena, ZONE_S);
    lazy_code = arena_zone(&runner->arena, ZONE_X);
    lazy_last_push = runner->arena.sizes.bytes[ZONE_X] - PUSH_BYTES;
    lazy_state_mask = state_enabled() & ARGUMENT_STATE;
    lazy_state_bytes = state_size(lazy_state_mask);
    return (uintptr_t)lazy_entry;
}

void lazy_begin(void)
{
    lazy_process = getpid();
}
