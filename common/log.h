/*
 * Log and trace lines on standard error, one line each, in every process alike:
 *
 *     [linker 4711] session: controller sent a malformed frame
 *
 * JITD_LOG=warn,link=debug sets the level, for all tags or for one; the default is warn. JITD_TRACE=proto,channel,link
 * switches trace classes on: one line a message, or a relocation. A process that may not read its environment later
 * calls log_open first. Whatever a peer sent is escaped and cut by `%s` through log_escape, never printed raw.
 * Thread: main thread only. errno is preserved by every function here.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_trace { TRACE_PROTO, TRACE_CHANNEL, TRACE_LINK, TRACE_COUNT };

/* Reads JITD_LOG and JITD_TRACE; `role` ("linker") must live as long as the process. */
void log_open(const char *role);

bool log_enabled(enum log_level level, const char *tag);
bool log_tracing(enum log_trace trace);

void log_line(enum log_level level, const char *tag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_trace_line(enum log_trace trace, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies `bytes` into `out` (of `size` bytes) with everything but printable ASCII as \xNN, cut with "..." where too
   long; always NUL-terminated. Returns out. */
const char *log_escape(char *out, size_t size, const void *bytes, size_t length);

/* Each file that logs defines LOG_TAG ("session") before its first use. */
#define log_error(...) log_line(LOG_ERROR, LOG_TAG, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, LOG_TAG, __VA_ARGS__)
#define log_info(...)                                                                                                  \
    do {                                                                                                               \
        if (log_enabled(LOG_INFO, LOG_TAG))                                                                            \
            log_line(LOG_INFO, LOG_TAG, __VA_ARGS__);                                                                  \
    } while (0)
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_enabled(LOG_DEBUG, LOG_TAG))                                                                           \
            log_line(LOG_DEBUG, LOG_TAG, __VA_ARGS__);                                                                 \
    } while (0)
#define log_trace(trace, ...)                                                                                          \
    do {                                                                                                               \
        if (log_tracing(trace))                                                                                        \
            log_trace_line(trace, __VA_ARGS__);                                                                        \
    } while (0)

#endif
