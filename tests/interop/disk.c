/* A disk that is full or slow, for a program that is started with this in LD_PRELOAD.
 *
 *   $DISK/full-NAME   writing to a file in a folder NAME fails with ENOSPC
 *   $DISK/slow-NAME   synchronising one there takes a second
 *
 * The folder is looked at each time, so a test decides while the program runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether there is a file $DISK/STATE-NAME, and fd is of a file in a folder NAME. */
static int is(const char *state, int fd) {
    static const char *names[] = {"audit", "consent"};
    const char *disk = getenv("DISK");
    char link[64], path[PATH_MAX], folder[32], file[PATH_MAX];
    if (!disk) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        snprintf(folder, sizeof folder, "/%s/", names[at]);
        snprintf(file, sizeof file, "%s/%s-%s", disk, state, names[at]);
        if (strstr(path, folder) && access(file, F_OK) == 0) return 1;
    }
    return 0;
}

#define WRITES(name, parameters, arguments)                                                                                    \
    ssize_t name parameters {                                                                                                  \
        static ssize_t(*real) parameters;                                                                                      \
        if (!real) real = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);                                                      \
        if (is("full", fd)) {                                                                                                  \
            errno = ENOSPC;                                                                                                    \
            return -1;                                                                                                         \
        }                                                                                                                      \
        return real arguments;                                                                                                 \
    }

WRITES(write, (int fd, const void *octets, size_t count), (fd, octets, count))
WRITES(pwrite, (int fd, const void *octets, size_t count, off_t at), (fd, octets, count, at))
WRITES(pwrite64, (int fd, const void *octets, size_t count, off64_t at), (fd, octets, count, at))

#define SYNCS(name)                                                                                                            \
    int name(int fd) {                                                                                                         \
        static int (*real)(int);                                                                                               \
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name);                                                               \
        if (is("slow", fd)) sleep(1);                                                                                          \
        return real(fd);                                                                                                       \
    }

SYNCS(fsync)
SYNCS(fdatasync)
