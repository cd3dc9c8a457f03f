/*
 * jitd-linker: one process a session. It parses what the controller sends, owns the only writable mappings of code
 * memory, and drives the session's runner. Everything that it needs from the system it takes before its filter goes on,
 * and the filter is on before the first byte is read: it is trusted with nothing that its runner is not.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/session.h"
#include "daemon/sandbox/filter.h"

#define LOG_TAG "main"

static int confine(struct session *session, struct error *error)
{
    if (session->configuration->disabled_layers & 1u << JITD__PROTO__LAYER__LAYER_LINKER_SECCOMP)
        return 0;
    if (filter_install(FILTER_LINKER, error) != 0)
        return error_prefix(error, "this kernel cannot confine the linker (jitd --disable-layer linker-seccomp goes on "
                                   "without)");
    session->layers |= 1u << JITD__PROTO__LAYER__LAYER_LINKER_SECCOMP;
    return 0;
}

int main(int argc, char **argv)
{
    static struct session session;
    struct session_configuration configuration = {0};
    struct error error;

    /* Frames and pools come and go: what the heap has touched it keeps. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 1 << 20);
    log_open("linker");
    if (argc < 5) {
        fprintf(stderr, "jitd-linker is started by jitd\n");
        return 2;
    }
    configuration.disabled_layers = (uint32_t)strtoul(argv[1], NULL, 10);
    configuration.waiting_bytes = strtoull(argv[2], NULL, 10);
    configuration.link_threads = (unsigned)min_u64(strtoul(argv[3], NULL, 10), WORKERS_MOST);
    configuration.arena_bytes = strtoull(argv[4], NULL, 10);
    configuration.libraries = (const char *const *)argv + 5;
    configuration.library_count = (uint32_t)(argc - 5);
    if (session_open(&session, &configuration, &error) != 0 || confine(&session, &error) != 0) {
        log_error("%s", error.text);
        return 1;
    }
    int status = session_run(&session);
    session_close(&session);
    return status;
}
