/*
 * common/log: levels, traces, and one clean line a call.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define LOG_TAG "session"

static int capture = -1;

/* Standard error becomes a packet socket: one packet a write. */
static void open_log(const char *levels, const char *traces)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    dup2(pair[0], STDERR_FILENO);
    close(pair[0]);
    capture = pair[1];
    levels ? setenv("JITD_LOG", levels, 1) : unsetenv("JITD_LOG");
    traces ? setenv("JITD_TRACE", traces, 1) : unsetenv("JITD_TRACE");
    log_open("linker");
}

static const char *line(void)
{
    static char text[8192];
    ssize_t length = recv(capture, text, sizeof text - 1, MSG_DONTWAIT);
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

Test(log, a_line_is_one_write_with_role_pid_and_tag)
{
    open_log(NULL, NULL);
    char expected[128];
    snprintf(expected, sizeof expected, "[linker %d] session: 3 frames\n", (int)getpid());
    log_warn("%d frames", 3);
    cr_expect_str_eq(line(), expected);
    cr_expect_str_eq(line(), "");
}

Test(log, the_default_level_is_warn)
{
    open_log(NULL, NULL);
    cr_expect(log_enabled(LOG_ERROR, "any"));
    cr_expect(log_enabled(LOG_WARN, "any"));
    cr_expect_not(log_enabled(LOG_INFO, "any"));
    log_line(LOG_INFO, LOG_TAG, "quiet");
    cr_expect_str_eq(line(), "");
}

Test(log, a_tag_has_a_level_of_its_own)
{
    open_log("info,link=debug,session=error", NULL);
    cr_expect(log_enabled(LOG_DEBUG, "link"));
    cr_expect_not(log_enabled(LOG_DEBUG, "lin"));
    cr_expect(log_enabled(LOG_INFO, "other"));
    cr_expect_not(log_enabled(LOG_WARN, "session"));
}

Test(log, words_it_does_not_know_are_named_and_ignored)
{
    open_log("loud,link=debug,,=,x=", "wires,proto");
    cr_expect(strstr(line(), "JITD_LOG: 'loud'"));
    cr_expect(strstr(line(), "JITD_LOG: '='"));
    cr_expect(strstr(line(), "JITD_LOG: 'x='"));
    cr_expect(strstr(line(), "JITD_TRACE: 'wires'"));
    cr_expect(log_enabled(LOG_DEBUG, "link"));
    cr_expect(log_tracing(TRACE_PROTO));
}

Test(log, too_many_tags_are_refused_not_overrun)
{
    char levels[1024] = "";
    for (int i = 0; i < 40; i++)
        snprintf(levels + strlen(levels), sizeof levels - strlen(levels), "tag%d=debug,", i);
    strcat(levels, "averylongtagthatdoesnotfitintoitsfield=debug");
    open_log(levels, NULL);
    cr_expect(log_enabled(LOG_DEBUG, "tag0"));
    cr_expect_not(log_enabled(LOG_DEBUG, "tag39"));
}

Test(log, traces_are_off_until_asked_for)
{
    open_log(NULL, "proto,link");
    cr_expect(log_tracing(TRACE_PROTO));
    cr_expect(log_tracing(TRACE_LINK));
    cr_expect_not(log_tracing(TRACE_CHANNEL));
    log_trace(TRACE_CHANNEL, "unseen");
    log_trace(TRACE_PROTO, "-> HELLO");
    cr_expect(strstr(line(), "] proto: -> HELLO\n"));
}

Test(log, control_characters_and_long_lines_are_tamed)
{
    open_log(NULL, NULL);
    log_error("a\nb\x1b[31m\x7f");
    cr_expect(strstr(line(), ": a?b?[31m?\n"));
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    log_error("%s", text);
    const char *cut = line();
    cr_expect(strlen(cut) < 2100);
    cr_expect_eq(cut[strlen(cut) - 1], '\n');
}

Test(log, errno_survives)
{
    open_log("nonsense", NULL);
    close(STDERR_FILENO);
    errno = EXDEV;
    log_error("nobody reads this");
    cr_expect_eq(errno, EXDEV);
}

Test(log, escape_shows_bytes_and_cuts)
{
    static const struct {
        const char *bytes;
        size_t length, size;
        const char *expected;
    } rows[] = {
        {"main", 4, 16, "main"},
        {"main", 4, 5, "main"},
        {"main", 4, 4, "..."},
        {"a\0b", 3, 16, "a\\x00b"},
        {"\xff\n", 2, 9, "\\xff\\x0a"},
        {"\xff\n", 2, 8, "\\xff..."},
        {"abcdefgh", 8, 8, "abcd..."},
        {"abc\x01", 4, 7, "abc..."},
        {"", 0, 1, ""},
        {"abc", 3, 1, ""},
        {"abc", 3, 2, "."},
        {"abc", 3, 3, ".."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[32];
        memset(out, 'Z', sizeof out);
        cr_expect_str_eq(log_escape(out, rows[i].size, rows[i].bytes, rows[i].length), rows[i].expected, "row %zu: %s",
                         i, out);
        cr_expect_eq(out[rows[i].size], 'Z', "row %zu writes beyond its end", i);
    }
    char untouched = 'Z';
    log_escape(&untouched, 0, "abc", 3);
    cr_expect_eq(untouched, 'Z');
}
