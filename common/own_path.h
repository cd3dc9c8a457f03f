/*
 * Where the file lies that this process executes, for programs that look for others beside themselves.
 */
#ifndef COMMON_OWN_PATH_H
#define COMMON_OWN_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Puts the absolute path into `path`; false where nobody knows it. The kernel's word is /proc/self/exe. Where there is
   no /proc, what execve(2) was given has to do, which may be relative to the working directory of that time: it is used
   only where the caller says that this has not changed since. */
bool own_path(char path[static PATH_MAX], bool directory_is_unchanged);

#endif
