/*
 * The names are glibc's; the causes are those of sigaction(2).
 */
#include "client/jitctl/signal_text.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* asm-generic/siginfo.h, which cannot be included beside glibc's own. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

static const struct {
    int number, code; /* number 0: any signal */
    const char *text;
} signal_text_causes[] = {
    {SIGSEGV, SEGV_MAPERR, "address not mapped"},
    {SIGSEGV, SEGV_ACCERR, "access not permitted"},
    {SIGSEGV, SI_KERNEL, "address not canonical, or a privileged instruction"},
    {SIGBUS, BUS_ADRALN, "misaligned address"},
    {SIGBUS, BUS_ADRERR, "nothing behind the address"},
    {SIGFPE, FPE_INTDIV, "integer division by zero, or its overflow"},
    {SIGFPE, FPE_FLTDIV, "floating-point division by zero"},
    {SIGILL, ILL_ILLOPN, "illegal instruction"},
    {SIGILL, ILL_ILLOPC, "illegal instruction"},
    {SIGTRAP, TRAP_BRKPT, "breakpoint"},
    {SIGTRAP, SI_KERNEL, "breakpoint"},
    {SIGSYS, SYS_SECCOMP, "system call refused by the sandbox"},
    {0, SI_TKILL, "raised by the program itself"},
    {0, SI_USER, "sent by kill"},
};

const char *signal_text_name(int number, char out[32])
{
    const char *name = sigabbrev_np(number);
    snprintf(out, 32, "%s%s", name ? "SIG" : "signal", name ? name : "");
    return out;
}

const char *signal_text_meaning(int number)
{
    const char *text = sigdescr_np(number);
    return text ? text : "unknown signal";
}

const char *signal_text_cause(int number, int code)
{
    for (size_t i = 0; i < sizeof signal_text_causes / sizeof signal_text_causes[0]; i++)
        if (signal_text_causes[i].code == code &&
            (signal_text_causes[i].number == 0 || signal_text_causes[i].number == number))
            return signal_text_causes[i].text;
    return NULL;
}
