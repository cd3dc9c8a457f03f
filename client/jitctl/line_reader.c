/*
 * Readers: forked, so that the object need not be sent; questions and answers are packets of fixed size, so that there
 * is nothing to parse in them.
 */
#include "client/jitctl/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/jitctl/demangle.h"
#include "client/jitctl/source_line.h"
#include "common/bytes.h"
#include "common/descriptor.h"
#include "proto/limits.h"

/* Of one reader; the largest objects that are known take a few seconds. */
#define READER_CPU_SECONDS 20
#define READER_DATA_BYTES  MIB(3072)

/* The reader's end of the socket. */
#define READER_SOCKET 3

struct reader_question {
    uint32_t section; /* 0: it is about the name */
    uint64_t offset;
    char name[LINE_READER_TEXT];
};

/* No bool: the reader may have come to send any byte. */
struct reader_answer {
    uint8_t found, more;
    struct line_place place;
    char problem[512];
};

struct line_reader {
    pid_t process;
    int socket; /* -1: it has gone */
    char problem[512];
};

/* ---- in the reader ---- */

static void reader_put(char out[LINE_READER_TEXT], const char *text)
{
    if (!text)
        return;
    size_t length = strnlen(text, LINE_READER_TEXT);
    if (length < LINE_READER_TEXT)
        memcpy(out, text, length);
    else
        snprintf(out, LINE_READER_TEXT, "%.*s...", LINE_READER_TEXT - 4, text);
}

static void reader_put_name(struct line_place *place, const char *name)
{
    reader_put(place->function, name);
    if (!demangle(name, place->demangled, sizeof place->demangled))
        place->demangled[0] = '\0';
}

static void reader_send(struct reader_answer *answer)
{
    if (send(READER_SOCKET, answer, sizeof *answer, MSG_NOSIGNAL) != sizeof *answer)
        _exit(1);
}

static void reader_answer_place(struct source_lines *lines, const struct reader_question *question,
                                struct reader_answer *answer)
{
    struct source_frame frames[SOURCE_FRAMES];
    size_t count = source_lines_find(lines, question->section, question->offset, frames);
    snprintf(answer->problem, sizeof answer->problem, "%s", source_lines_problem(lines));
    if (!count)
        reader_send(answer);
    for (size_t i = 0; i < count; i++) {
        answer->found = true;
        answer->more = i + 1 < count;
        answer->place = (struct line_place){.line = frames[i].line};
        reader_put_name(&answer->place, frames[i].function);
        reader_put(answer->place.file, frames[i].file);
        reader_send(answer);
    }
}

static void reader_answer_name(const struct reader_question *question, struct reader_answer *answer)
{
    reader_put_name(&answer->place, question->name);
    answer->found = answer->place.demangled[0] != '\0';
    reader_send(answer);
}

static void reader_serve(const void *bytes, size_t length)
{
    static struct reader_question question;
    static struct reader_answer answer;
    struct source_lines *lines = bytes ? source_lines_open(bytes, length) : NULL;
    while (recv(READER_SOCKET, &question, sizeof question, 0) == sizeof question) {
        answer = (struct reader_answer){0};
        if (question.section && lines)
            reader_answer_place(lines, &question, &answer);
        else
            reader_answer_name(&question, &answer);
    }
}

/* At the limit of processor time comes SIGXCPU, a second later SIGKILL. */
static void reader_limit(int resource, rlim_t most)
{
    setrlimit(resource, &(struct rlimit){.rlim_cur = most, .rlim_max = most ? most + 1 : 0});
}

/* Nothing of jitctl's is kept but memory: a session's socket that stays open here would keep the session. */
static void reader_confine(int socket)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    int nowhere = descriptor_open_null();
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        signal(signals[i], SIG_DFL);
#ifndef JITD_SANITIZED /* whose reports are wanted */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(nowhere, fd);
#endif
    if (nowhere < 0 || dup2(socket, READER_SOCKET) < 0 || descriptor_close_from(READER_SOCKET + 1) != 0)
        _exit(1);
    reader_limit(RLIMIT_CORE, 0);
    reader_limit(RLIMIT_FSIZE, 0);
    reader_limit(RLIMIT_CPU, READER_CPU_SECONDS);
#ifndef JITD_SANITIZED /* whose shadow is larger */
    reader_limit(RLIMIT_DATA, READER_DATA_BYTES);
#endif
}

/* ---- in jitctl ---- */

struct line_reader *line_reader_open(const void *bytes, size_t length)
{
    int sockets[2];
    struct line_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        free(reader);
        return NULL;
    }
    reader->process = fork();
    if (reader->process == 0) {
        reader_confine(sockets[1]);
        reader_serve(bytes, length);
        _exit(0);
    }
    close(sockets[1]);
    reader->socket = sockets[0];
    if (reader->process > 0)
        return reader;
    close(reader->socket);
    free(reader);
    return NULL;
}

/* Says how it has gone: what it was reading is damaged, or more than it may take. */
static void reader_end(struct line_reader *reader, bool late)
{
    int status = 0;
    if (reader->socket < 0)
        return;
    close(reader->socket);
    reader->socket = -1;
    if (late)
        kill(reader->process, SIGKILL);
    while (waitpid(reader->process, &status, 0) < 0 && errno == EINTR)
        ;
    if (late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        snprintf(reader->problem, sizeof reader->problem, "reading its debug information took too long");
    else
        snprintf(reader->problem, sizeof reader->problem, "reading its debug information failed (%s %d)",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void line_reader_close(struct line_reader *reader)
{
    if (!reader)
        return;
    reader_end(reader, true);
    free(reader);
}

bool line_reader_lives(const struct line_reader *reader)
{
    return reader->socket >= 0;
}

const char *line_reader_problem(const struct line_reader *reader)
{
    return reader->problem;
}

static int64_t reader_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: the reader has gone, and is ended. */
static bool reader_receive(struct line_reader *reader, int64_t deadline, struct reader_answer *answer)
{
    struct pollfd polled = {.fd = reader->socket, .events = POLLIN};
    int ready;
    do {
        int64_t left = deadline - reader_now_ms();
        ready = poll(&polled, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready > 0 && recv(reader->socket, answer, sizeof *answer, MSG_DONTWAIT) == sizeof *answer) {
        answer->place.function[LINE_READER_TEXT - 1] = answer->place.demangled[LINE_READER_TEXT - 1] = '\0';
        answer->place.file[LINE_READER_TEXT - 1] = '\0';
        answer->problem[sizeof answer->problem - 1] = '\0';
        return true;
    }
    reader_end(reader, ready == 0);
    return false;
}

static bool reader_ask(struct line_reader *reader, const struct reader_question *question)
{
    if (reader->socket < 0)
        return false;
    if (send(reader->socket, question, sizeof *question, MSG_NOSIGNAL) == sizeof *question)
        return true;
    reader_end(reader, false);
    return false;
}

size_t line_reader_find(struct line_reader *reader, uint32_t section, uint64_t offset, int patience_ms,
                        struct line_place *places, size_t most)
{
    struct reader_question question = {.section = section, .offset = offset};
    static struct reader_answer answer;
    int64_t deadline = reader_now_ms() + patience_ms;
    size_t count = 0;
    if (section == 0 || !reader_ask(reader, &question))
        return 0;
    do {
        if (!reader_receive(reader, deadline, &answer))
            return 0;
        if (answer.found)
            places[count++] = answer.place;
    } while (answer.more && count < most);
    if (answer.more)
        reader_end(reader, false);
    memcpy(reader->problem, answer.problem, sizeof reader->problem);
    return count;
}

bool line_reader_demangle(struct line_reader *reader, const char *name, int patience_ms, char out[LINE_READER_TEXT])
{
    static struct reader_question question;
    static struct reader_answer answer;
    size_t length = strlen(name);
    if (length >= sizeof question.name)
        return false;
    question = (struct reader_question){0};
    memcpy(question.name, name, length);
    if (!reader_ask(reader, &question) || !reader_receive(reader, reader_now_ms() + patience_ms, &answer) ||
        !answer.found)
        return false;
    memcpy(out, answer.place.demangled, LINE_READER_TEXT);
    return true;
}
