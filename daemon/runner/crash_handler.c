/*
 * The crash record: signal, registers and backtrace of the first thread that crashes.
 *
 * Everything here is async-signal-safe: system calls, stores to the channel, and libgcc's unwinder, which since glibc
 * 2.35 takes no lock (_dl_find_object). The kernel's word on how the process ended is what counts, so the handler ends
 * by dying of the same signal with its default action, whatever happened on the way.
 *
 * The stack may be damaged, so unwinding it may fault again. Frames are stored one by one with their count kept right,
 * and a second fault on the crashing thread completes the record with what is there.
 */
#include "daemon/runner/crash_handler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "common/bytes.h"
#include "daemon/runner/boundary.h"
#include "daemon/runner/requests.h"
#include "daemon/runner/stage.h"
#include "daemon/runner/unwind.h"

#define PROBED_BYTES KIB(64) /* how far below the stack pointer code may touch its stack */
#define FRAME_BYTES  MIB(1)  /* how far above it the part of a frame may lie that was touched first */

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

/* In the order of channel_crash.registers. */
static const int crash_registers[CRASH_REGISTERS] = {
    REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
    REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_EFL,
};

/* The runner's own code, from the link editor. */
extern const char __executable_start[], etext[];

static struct channel_crash *crash_record; /* NULL until the process has begun */
static pid_t crash_process;                /* whose record it is: the program may fork */
static _Atomic pid_t crash_thread;         /* the one that crashed first; 0: none yet */
static int crash_signal;
static bool crash_claimed; /* the record is this process's to write */

struct backtrace {
    uintptr_t from;     /* frames inside of the one at this program counter are the handler's */
    uintptr_t boundary; /* stop at this stack address */
    bool reached;
};

static void frame_add(uintptr_t pc, bool exact)
{
    uint32_t count = crash_record->frame_count;
    if (count >= LIMIT_BACKTRACE_FRAMES)
        return;
    crash_record->frames[count] = pc;
    crash_record->exact[count] = exact;
    __atomic_store_n(&crash_record->frame_count, count + 1, __ATOMIC_RELEASE);
}

static _Unwind_Reason_Code frame_visit(struct _Unwind_Context *context, void *data)
{
    struct backtrace *backtrace = data;
    int exact = 0; /* in the frame that a signal handler has interrupted */
    uintptr_t pc = _Unwind_GetIPInfo(context, &exact);
    if (!backtrace->reached) {
        backtrace->reached = pc == backtrace->from;
        return _URC_NO_REASON;
    }
    bool stop = pc == 0 || crash_record->frame_count >= LIMIT_BACKTRACE_FRAMES ||
                (backtrace->boundary != 0 && _Unwind_GetCFA(context) >= backtrace->boundary);
    if (stop)
        return _URC_END_OF_STACK;
    frame_add(pc, exact != 0);
    return _URC_NO_REASON;
}

static bool pc_is_own(uintptr_t pc)
{
    return pc >= (uintptr_t)__executable_start && pc < (uintptr_t)etext;
}

/* A call to where there is no code left its return address on top of the stack: the backtrace goes on in the caller, as
   if the call had returned. The context is changed, which is harmless as nothing returns to it. */
static void backtrace_skip_wild_call(greg_t *registers)
{
    uintptr_t stack = (uintptr_t)registers[REG_RSP];
    uintptr_t caller = *(const uintptr_t *)stack;
    frame_add(caller, false);
    /* One less, so that the unwinder looks at the call, which may be its function's last instruction. */
    registers[REG_RIP] = (greg_t)(caller - 1);
    registers[REG_RSP] = (greg_t)(stack + sizeof(uintptr_t));
}

static void crash_write_backtrace(const siginfo_t *information, greg_t *registers, uintptr_t pc)
{
    frame_add(pc, true);
    if (information->si_signo == SIGSEGV && (uintptr_t)information->si_addr == pc && !unwind_covers(pc))
        backtrace_skip_wild_call(registers);
    struct backtrace backtrace = {.from = (uintptr_t)registers[REG_RIP], .boundary = boundary_of_thread()};
    _Unwind_Backtrace(frame_visit, &backtrace);

    uint32_t count = crash_record->frame_count;
    while (count > 1 && count <= LIMIT_BACKTRACE_FRAMES && pc_is_own(crash_record->frames[count - 1]))
        count--;
    crash_record->frame_count = count;
}

/* Whether si_addr says anything: not for a signal that somebody sent. */
static bool crash_has_address(const siginfo_t *information)
{
    return information->si_code > 0 && information->si_signo != SIGABRT;
}

/* Memory beside the stack pointer is there unless the stack has ended; that it has ended at the other side is excluded
   by the boundary. No bounds need to be known, so this holds for stacks of the program's own making too. */
static bool crash_is_stack_overflow(const siginfo_t *information, uintptr_t stack)
{
    uintptr_t address = (uintptr_t)information->si_addr, boundary = boundary_of_thread();
    if (information->si_signo != SIGSEGV || information->si_code <= 0 || (boundary != 0 && address >= boundary))
        return false;
    return address + PROBED_BYTES >= stack && address < stack + FRAME_BYTES;
}

static bool record_is_ours(void)
{
    return crash_record != NULL && getpid() == crash_process;
}

static void end_write(void)
{
    const struct channel_record *request = requests_under_way();
    if (request != NULL)
        crash_record->request = request->id;
    atomic_store(&crash_record->end, request != NULL ? END_REQUEST : END_OTHER);
}

static void crash_write(const siginfo_t *information, greg_t *registers, uintptr_t pc)
{
    crash_record->signal = information->si_signo;
    crash_record->code = information->si_code;
    crash_record->thread = (uint64_t)crash_thread;
    crash_record->address = crash_has_address(information) ? (uintptr_t)information->si_addr : 0;
    crash_record->stack_overflow = crash_is_stack_overflow(information, (uintptr_t)registers[REG_RSP]);
    for (size_t i = 0; i < CRASH_REGISTERS; i++)
        crash_record->registers[i] = (uint64_t)registers[crash_registers[i]];
    crash_record->frame_count = 0;
    end_write();
    crash_write_backtrace(information, registers, pc);
}

/* Returns only where the signal could not be sent; a fault then happens again, with its default action. */
static void die_of(int number)
{
    sigset_t set;
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    tgkill(getpid(), gettid(), number);
}

static void crash_die(void)
{
    if (crash_claimed)
        atomic_store(&crash_record->state, CRASH_COMPLETE);
    die_of(crash_signal);
}

/* `pc` is what the innermost frame is recorded as. */
static void crash_end(const siginfo_t *information, greg_t *registers, uintptr_t pc)
{
    pid_t self = gettid(), first = 0;
    if (!atomic_compare_exchange_strong(&crash_thread, &first, self)) {
        while (first != self)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        crash_die();
        return;
    }
    crash_signal = information->si_signo;
    uint32_t none = CRASH_NONE;
    crash_claimed = record_is_ours() && atomic_compare_exchange_strong(&crash_record->state, &none, CRASH_WRITING);
    if (crash_claimed)
        crash_write(information, registers, pc);
    crash_die();
}

static void crash_handle(int number, siginfo_t *information, void *context)
{
    (void)number;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    crash_end(information, registers, (uintptr_t)registers[REG_RIP]);
}

_Noreturn void crash_handler_raise(int number, const uint64_t registers[CRASH_REGISTERS])
{
    gregset_t saved = {0};
    siginfo_t information = {.si_signo = number, .si_code = SI_TKILL};
    for (size_t i = 0; i < CRASH_REGISTERS; i++)
        saved[crash_registers[i]] = (greg_t)registers[i];
    /* One less is in the call, which may be its function's last instruction. */
    crash_end(&information, saved, (uintptr_t)saved[REG_RIP] - 1);
    abort();
}

_Noreturn void crash_handler_die(int number)
{
    die_of(number);
    abort();
}

void crash_handler_leave_unblocked(sigset_t *set)
{
    for (size_t i = 0; i < ARRAY_LENGTH(crash_signals); i++)
        sigdelset(set, crash_signals[i]);
}

void crash_handler_report_to(struct channel_crash *record)
{
    crash_process = getpid();
    crash_record = record;
}

/* A crash that is being written says more. */
void crash_handler_note_exit(void)
{
    if (record_is_ours() && atomic_load(&crash_record->state) == CRASH_NONE)
        end_write();
}

int crash_handler_install(struct error *error)
{
    /* SA_NODEFER: a fault inside the handler must reach it, or the kernel would report that one's signal. */
    struct sigaction action = {.sa_sigaction = crash_handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < ARRAY_LENGTH(crash_signals); i++)
        if (sigaction(crash_signals[i], &action, NULL) != 0)
            return stage_failed(error, "install the crash handler");
    return 0;
}
