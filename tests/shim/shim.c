/* A disk that fails as it is told to, for the tests: loaded before libc, it stands in front of what changes files below
 * CONSENTRY_FAULT_FOLDER.
 *
 *   CONSENTRY_FAULT_KILL   n: the process is killed (SIGKILL) at the n-th call that changes something there
 *   CONSENTRY_FAULT_HOW    b: before that call; h: after half the octets of a write; a: after it
 *   CONSENTRY_FAULT_COUNT  file: the number of such calls is written there when the process ends by itself
 *   CONSENTRY_FAULT_SLOW   microseconds: each of them takes that much longer
 *
 * What it is not: a disk that loses what it was told to synchronise. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder, *count_file;
static long kill_at, slow_us;
static char how = 'b';
static atomic_long calls;

static long number(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

__attribute__((constructor)) static void begin(void) {
    folder = getenv("CONSENTRY_FAULT_FOLDER");
    count_file = getenv("CONSENTRY_FAULT_COUNT");
    kill_at = number("CONSENTRY_FAULT_KILL");
    slow_us = number("CONSENTRY_FAULT_SLOW");
    if (getenv("CONSENTRY_FAULT_HOW")) how = *getenv("CONSENTRY_FAULT_HOW");
}

__attribute__((destructor)) static void end(void) {
    FILE *file = count_file ? fopen(count_file, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", (long)calls);
        fclose(file);
    }
}

static int below(const char *path) { return folder && path && strncmp(path, folder, strlen(folder)) == 0; }

static int holds(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Counts the call; true when it is the one to die at. */
static int due(void) {
    if (slow_us) usleep((useconds_t)slow_us);
    return atomic_fetch_add(&calls, 1) + 1 == kill_at;
}

static void die(void) {
    raise(SIGKILL);
}

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* A call that either happened or did not. */
#define WHOLE(is_ours, call) \
    if (is_ours && due()) { \
        if (how == 'a') (void)!(call); \
        die(); \
    } \
    return call

#define WRITES(is_ours, half, call) \
    if (is_ours && due()) { \
        if (how == 'h') (void)!(half); \
        if (how == 'a') (void)!(call); \
        die(); \
    } \
    return call

ssize_t write(int fd, const void *octets, size_t count) {
    NEXT(write);
    WRITES(holds(fd), next(fd, octets, count / 2), next(fd, octets, count));
}

ssize_t pwrite(int fd, const void *octets, size_t count, off_t at) {
    NEXT(pwrite);
    WRITES(holds(fd), next(fd, octets, count / 2, at), next(fd, octets, count, at));
}

ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t at) {
    NEXT(pwrite64);
    WRITES(holds(fd), next(fd, octets, count / 2, at), next(fd, octets, count, at));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    NEXT(writev);
    WRITES(holds(fd), next(fd, parts, count / 2), next(fd, parts, count));
}

int ftruncate(int fd, off_t length) {
    NEXT(ftruncate);
    WHOLE(holds(fd), next(fd, length));
}

int ftruncate64(int fd, off64_t length) {
    NEXT(ftruncate64);
    WHOLE(holds(fd), next(fd, length));
}

int fsync(int fd) {
    NEXT(fsync);
    WHOLE(holds(fd), next(fd));
}

int fdatasync(int fd) {
    NEXT(fdatasync);
    WHOLE(holds(fd), next(fd));
}

int unlink(const char *path) {
    NEXT(unlink);
    WHOLE(below(path), next(path));
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    WHOLE(below(to), next(from, to));
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    WHOLE(below(path), next(path, mode));
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        WHOLE((flags & (O_CREAT | O_TRUNC)) && below(path), next(path, flags, mode)); \
    }

OPENS(open)
OPENS(open64)
