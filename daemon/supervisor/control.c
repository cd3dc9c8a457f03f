/*
 * Reading and checking CONTROL_START. Descriptors that come with a packet that is refused are closed.
 */
#include "daemon/supervisor/control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "proto/message.h"

#define STREAMS 3

void control_close(struct control_request *request)
{
    for (size_t i = 0; i < STREAMS; i++)
        descriptor_close(&request->streams[i]);
}

enum control_outcome control_receive(int socket, struct control_request *out, struct error *error)
{
    /* One byte more than a packet has, so that a longer one shows. */
    struct {
        struct control_start start;
        char beyond;
    } packet;
    size_t count = 0;
    *out = (struct control_request){.streams = {-1, -1, -1}};
    ssize_t length = descriptor_receive(socket, &packet, sizeof packet.start + 1, out->streams, STREAMS, &count);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return CONTROL_WAIT;
    if (length <= 0)
        return CONTROL_GONE;
    out->start = packet.start;
    if (length == sizeof packet.start && count == (packet.start.streams == 1 ? STREAMS : 0))
        return CONTROL_RECEIVED;
    control_close(out);
    error_set(error, ERROR_PROTOCOL, "a packet of %zd bytes with %zu descriptors", length, count);
    return CONTROL_BROKEN;
}

int control_check(const struct control_start *start, const struct configuration *configuration, struct error *error)
{
    if (start->kind != CONTROL_START || start->zero != 0 || start->streams > 1)
        return error_set(error, ERROR_PROTOCOL, "a packet that is no request");
    if (start->profile > JITD__PROTO__PROFILE__TRUSTED)
        return error_set(error, ERROR_PROTOCOL, "there is no profile %u", start->profile);
    if (start->placement > JITD__PROTO__PLACEMENT__LOW)
        return error_set(error, ERROR_PROTOCOL, "there is no placement %u", start->placement);
    if (start->placement != JITD__PROTO__PLACEMENT__NEAR)
        return error_set(error, ERROR_UNSUPPORTED, "placement LOW is not in this version");
    if (start->library_count > LIMIT_LIBRARIES)
        return error_set(error, ERROR_PROTOCOL, "%u libraries are too many", start->library_count);
    if (start->argument_count > LIMIT_STARTUP_STRINGS || start->environment_count > LIMIT_STARTUP_STRINGS)
        return error_set(error, ERROR_PROTOCOL, "%u arguments and %u environment strings are too many",
                         start->argument_count, start->environment_count);
    for (size_t i = 0; i < start->library_count; i++)
        if (start->libraries[i] >= configuration->library_count)
            return error_set(error, ERROR_PROTOCOL, "library %u is not in the list of allowed ones",
                             start->libraries[i]);
    return zones_check(&start->zones, start->least_zeros, configuration->arena_bytes, error);
}

int control_check_seals(const int *zones, struct error *error)
{
    static const char names[] = {'X', 'S', 'R', 'D'};
    static const int needed = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        int seals = fcntl(zones[i], F_GET_SEALS);
        if (seals < 0)
            return error_system(error, "ask for the seals of zone %c", names[i]);
        if ((seals & needed) != needed)
            return error_set(error, ERROR_PROTOCOL, "zone %c has the seals 0x%x, not 0x%x", names[i], (unsigned)seals,
                             (unsigned)needed);
    }
    return 0;
}

int control_answer(int socket, const struct error *refused, uint32_t layers, struct error *error)
{
    struct control_answer answer = {.kind = refused ? CONTROL_REFUSED : CONTROL_STARTED,
                                    .error = refused ? refused->code : 0,
                                    .os = refused ? refused->os : 0,
                                    .layers = refused ? 0 : layers};
    if (descriptor_send(socket, &answer, sizeof answer, NULL, 0) == sizeof answer)
        return 0;
    return error_set(error, ERROR_DISCONNECTED, "the linker does not take the answer");
}

bool control_end(int socket, enum control_end why, int os)
{
    const struct control_answer packet = {.kind = CONTROL_END, .error = (int32_t)why, .os = os};
    return descriptor_send(socket, &packet, sizeof packet, NULL, 0) == sizeof packet;
}
