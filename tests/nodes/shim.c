/* A clock that is wrong and a disk that is full, for a server that is started with this in LD_PRELOAD.
 *
 *   NODES_SKEW    seconds that the clock of the wall is ahead (or, negative, behind); the monotonic clock is right
 *   NODES_FULL    a file: while it is there, nothing can be written to a file below NODES_FOLDER
 *   NODES_FOLDER  that folder, its real path
 *
 * The file is looked for at each write, so a test decides while the server runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long skew(void) {
    static int known;
    static long seconds;
    if (!known) {
        const char *set = getenv("NODES_SKEW");
        seconds = set ? atol(set) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long status = syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += skew();
    return (int)status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec read;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &read)) return -1;
    now->tv_sec = read.tv_sec;
    now->tv_usec = read.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec read;
    if (clock_gettime(CLOCK_REALTIME, &read)) return -1;
    if (out) *out = read.tv_sec;
    return read.tv_sec;
}

static int is_full(int fd) {
    const char *full = getenv("NODES_FULL"), *folder = getenv("NODES_FOLDER");
    char link[64], path[PATH_MAX];
    if (!full || !folder || access(full, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

#define WRITES(type, name, parameters, arguments, failed)                                                                      \
    type name parameters {                                                                                                     \
        static type(*real) parameters;                                                                                         \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                                         \
        if (is_full(fd)) {                                                                                                     \
            errno = ENOSPC;                                                                                                    \
            return failed;                                                                                                     \
        }                                                                                                                      \
        return real arguments;                                                                                                 \
    }

WRITES(ssize_t, write, (int fd, const void *octets, size_t count), (fd, octets, count), -1)
WRITES(ssize_t, pwrite, (int fd, const void *octets, size_t count, off_t at), (fd, octets, count, at), -1)
WRITES(ssize_t, pwrite64, (int fd, const void *octets, size_t count, off64_t at), (fd, octets, count, at), -1)
WRITES(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), -1)
WRITES(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), -1)
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), -1)
WRITES(int, posix_fallocate, (int fd, off_t at, off_t count), (fd, at, count), ENOSPC)
WRITES(int, posix_fallocate64, (int fd, off64_t at, off64_t count), (fd, at, count), ENOSPC)
