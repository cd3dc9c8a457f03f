/*
 * A relay thread that forwards and counts (wire.h). Counting comes before forwarding, so that whoever has received a
 * reply reads counts that include it.
 */
#include "bench/wire.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/client.h"
#include "bench/measure.h"

struct relay {
    int controller;
    int daemon;
    atomic_size_t out;
    atomic_size_t in;
};

/* False at end of file. */
static bool relay_forward(int from, int to, atomic_size_t *count)
{
    static uint8_t buffer[65536];
    ssize_t got = read(from, buffer, sizeof buffer);
    if (got <= 0)
        return false;
    atomic_fetch_add(count, (size_t)got);
    for (ssize_t done = 0, put; done < got; done += put) {
        put = send(to, buffer + done, (size_t)(got - done), MSG_NOSIGNAL);
        if (put <= 0)
            return false;
    }
    return true;
}

static void *relay_run(void *argument)
{
    struct relay *relay = argument;
    for (bool open = true; open;) {
        struct pollfd polled[] = {{.fd = relay->controller, .events = POLLIN}, {.fd = relay->daemon, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0)
            break;
        if (polled[0].revents)
            open = relay_forward(relay->controller, relay->daemon, &relay->out);
        if (open && polled[1].revents)
            open = relay_forward(relay->daemon, relay->controller, &relay->in);
    }
    close(relay->controller);
    close(relay->daemon);
    return NULL;
}

/* Since the last time. */
static struct wire_bytes relay_take(struct relay *relay, const char *key)
{
    struct wire_bytes bytes = {atomic_exchange(&relay->out, 0), atomic_exchange(&relay->in, 0)};
    if (key)
        printf("wire.%s.out %zu - 1\nwire.%s.in %zu - 1\n", key, bytes.out, key, bytes.in);
    return bytes;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        measure_die("cannot connect to %s", path);
    return fd;
}

static struct jitd_session *relay_open(struct relay *relay, const char *path, pthread_t *thread)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        measure_die("cannot make a socket pair");
    *relay = (struct relay){.controller = pair[1], .daemon = connect_to(path)};
    if (pthread_create(thread, NULL, relay_run, relay) != 0)
        measure_die("cannot start a thread");
    return client_attach(pair[0]);
}

void wire_count(const char *path, size_t tree_units, struct wire *out)
{
    struct relay relay;
    pthread_t thread;
    struct jitd_session *session = relay_open(&relay, path, &thread);
    struct written_object *unit = object_write_tree("u", 1);
    struct written_object *tree = object_write_tree("t", tree_units);

    client_wait_welcome(session);
    relay_take(&relay, NULL);
    client_time_units(session, unit, 1);
    out->unit = relay_take(&relay, "unit");
    client_time_call(session, unit->name, 1);
    out->call = relay_take(&relay, "call");
    client_time_units(session, tree, tree_units);
    out->tree = relay_take(&relay, "tree");
    jitd_close(session);
    pthread_join(thread, NULL);
    object_free_all(unit, 1);
    object_free_all(tree, tree_units);
}
