/*
 * jitctl run: what `cc FILE... && ./a.out ARGS...` does, without writing a.out.
 *
 * The program's life is the runner's: its exit status, or 128 + the signal that ended it, becomes ours. A constructor
 * that ends the runner ends the program just so. The session has one life: what the program does, it does once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/commands.h"
#include "client/jitctl/complain.h"
#include "client/jitctl/conversation.h"
#include "client/jitctl/crash_report.h"
#include "client/jitctl/environment.h"

struct run {
    const char *program; /* argv[0] */
    FILE *report;        /* stderr, or owned */
    bool json;
};

/* These end a program in the ordinary course of things: a shell says nothing of them either. */
static bool run_is_quiet(const struct run *run, int number)
{
    return !run->json && (number == SIGINT || number == SIGPIPE || number == SIGTERM || number == SIGHUP);
}

static void run_on_end(struct conversation *conversation, const struct jitd_end *end)
{
    const struct run *run = conversation->data;
    if (end->exited) {
        conversation_finish(conversation, end->exit_status);
        return;
    }
    if (run->json)
        crash_report_print_json(run->report, run->program, end, &conversation->places);
    else if (!run_is_quiet(run, end->signal))
        crash_report_print(run->report, run->program, end, &conversation->places);
    conversation_finish(conversation, 128 + end->signal);
}

static void run_on_called(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                          const struct jitd_errors *errors, void *data)
{
    struct conversation *conversation = data;
    (void)session, (void)result;
    if (conversation->finished)
        return;
    if (end)
        run_on_end(conversation, end);
    else if (errors)
        conversation_fail(conversation, errors);
}

static int run_main(struct conversation *conversation, const struct inputs *inputs)
{
    int status = conversation_submit(conversation, inputs);
    if (status || conversation->finished)
        return status;
    if (jitd_call_main(conversation->session, NULL, run_on_called, conversation, NULL))
        return complain("main cannot be called: %s", jitd_last_error(conversation->session)->text);
    return conversation_wait(conversation);
}

static const char **run_build_arguments(const struct options *options, const char *program)
{
    size_t count = 0;
    while (options->arguments[count])
        count++;
    const char **arguments = allocate_zeroed((count + 2) * sizeof *arguments);
    arguments[0] = program;
    for (size_t i = 0; i < count; i++)
        arguments[i + 1] = options->arguments[i];
    return arguments;
}

static int run_session(struct run *run, const struct options *options, const struct inputs *inputs)
{
    static const int streams[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    const char **arguments = run_build_arguments(options, run->program);
    const char **environment =
        environment_build(environ, options->environment, options->environment_count, options->environment_all);
    struct jitd_options session = {
        .arguments = arguments,
        .environment = environment,
        .streams = streams,
        .one_life = true,
        .address_space_bytes = options->address_space_bytes,
        .cpu_seconds = options->cpu_seconds,
        .open_files = options->open_files,
        .foreground = true,
    };
    struct conversation conversation = {.ended = run_on_end, .data = run};
    int status = conversation_open(&conversation, options, inputs, &session);
    if (!status)
        status = run_main(&conversation, inputs);
    conversation_close(&conversation);
    free(arguments);
    free(environment);
    return status;
}

/* A file or the name of a library: there is one. */
static const char *run_first_operand(const struct options *options)
{
    size_t i = 0;
    while (!options->operands[i].text)
        i++;
    return options->operands[i].text;
}

static int run_gathered(const struct options *options, const struct inputs *inputs)
{
    struct run run = {
        .program = options->argument0 ? options->argument0 : run_first_operand(options),
        .report = options->report ? fopen(options->report, "we") : stderr,
        .json = options->json,
    };
    if (!run.report)
        return complain("%s: %s", options->report, strerror(errno));
    int status = run_session(&run, options, inputs);
    if (run.report != stderr && fclose(run.report) != 0)
        complain("%s: %s", options->report, strerror(errno));
    return status;
}

int run_command(int argc, char **argv)
{
    struct options options;
    struct inputs inputs = {0};
    int status = options_parse(&options, OPTIONS_RUN, argc, argv);
    if (!status)
        status = inputs_gather(&inputs, &options, true);
    if (!status)
        status = run_gathered(&options, &inputs);
    inputs_free(&inputs);
    options_free(&options);
    return status;
}
