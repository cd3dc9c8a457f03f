/*
 * The commands of jitctl. Each takes its own argv (argv[0] is the command's name) and returns the exit status.
 */
#ifndef JITCTL_COMMANDS_H
#define JITCTL_COMMANDS_H

int run_command(int argc, char **argv);
int link_command(int argc, char **argv);
int inspect_command(int argc, char **argv);

#endif
