/* A disk that can be seen and stopped: preloaded (LD_PRELOAD) into the processes of a study, on Linux.

   Every call that changes something below the folder $DISK_BELOW
   - is counted in the process $DISK_PID, and its number $DISK_AT is the last one of that process (SIGKILL; of a write
     half is done before), or fails with EIO where $DISK_FAILS is set;
   - is told to the file $DISK_LOG, in any process, with what was written: `op path other offset length` between tabs on
     a line, then so many bytes. What is written to standard output is told too, as `say`, and what is counted, as
     `call`.
   The environment is read at each call: a process may set it for itself after it began. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name, ...) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)

static int calls; /* of the one process and thread that changes a run */

static int is_watched(const char *path) {
    const char *below = getenv("DISK_BELOW");
    return below && strncmp(path, below, strlen(below)) == 0;
}

/* Make a path absolute; say whether it lies below the folder. */
static int named(const char *path, char full[PATH_MAX]) {
    char here[PATH_MAX] = "";
    if (!getenv("DISK_BELOW") || (path[0] != '/' && !getcwd(here, sizeof here))) return 0;
    if (snprintf(full, PATH_MAX, "%s%s%s", here, path[0] == '/' ? "" : "/", path) >= PATH_MAX) abort();
    return is_watched(full);
}

static int opened(int file, char full[PATH_MAX]) {
    char link[64];
    if (!getenv("DISK_BELOW")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, full, PATH_MAX - 1);
    full[length < 0 ? 0 : length] = 0;
    return is_watched(full);
}

static void tell(const char *op, const char *path, const char *other, off_t offset, const void *data, size_t length) {
    const char *log = getenv("DISK_LOG");
    char head[3 * PATH_MAX];
    if (!log) return;
    int before = errno, file = REAL(open, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int size = snprintf(head, sizeof head, "%s\t%s\t%s\t%ld\t%zu\n", op, path, other, (long)offset, data ? length : 0);
    struct iovec parts[2] = {{head, size}, {(void *)data, data ? length : 0}};
    if (writev(file, parts, 2) < size) abort(); /* in one call: other processes tell too */
    close(file);
    errno = before;
}

/* Count a call; say whether it is the one. */
static int is_last(void) {
    const char *at = getenv("DISK_AT"), *process = getenv("DISK_PID");
    if (!process || atoi(process) != getpid()) return 0;
    tell("call", "", "", 0, NULL, 0);
    return ++calls == (at ? atoi(at) : 0);
}

static int fails(void) {
    if (!getenv("DISK_FAILS")) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = EIO;
    return -1;
}

static int open_any(const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    int changes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && named(path, full);
    if (changes && is_last()) return fails();
    struct stat before;
    int is_new = changes && stat(path, &before) != 0;
    int file = REAL(open, path, flags, mode);
    if (changes && file >= 0 && (is_new || flags & O_TRUNC)) tell(is_new ? "create" : "empty", full, "", 0, NULL, 0);
    return file;
}

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...) {                         \
        va_list rest;                                                    \
        va_start(rest, flags);                                           \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                    \
        return open_any(path, flags, mode);                              \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int file, const void *data, size_t length) {
    char full[PATH_MAX];
    int changes = opened(file, full);
    if (changes && is_last()) {
        if (!getenv("DISK_FAILS")) REAL(write, file, data, length / 2);
        return fails();
    }
    ssize_t written = REAL(write, file, data, length);
    if (changes && written > 0) tell("write", full, "", lseek(file, 0, SEEK_CUR) - written, data, written);
    if (file == STDOUT_FILENO && written > 0) tell("say", "", "", 0, data, written);
    return written;
}

static ssize_t pwrite_any(int file, const void *data, size_t length, off_t offset) {
    char full[PATH_MAX];
    int changes = opened(file, full);
    if (changes && is_last()) {
        if (!getenv("DISK_FAILS")) REAL(pwrite, file, data, length / 2, offset);
        return fails();
    }
    ssize_t written = REAL(pwrite, file, data, length, offset);
    if (changes && written > 0) tell("write", full, "", offset, data, written);
    return written;
}
ssize_t pwrite(int file, const void *data, size_t length, off_t offset) { return pwrite_any(file, data, length, offset); }
ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset) { return pwrite_any(file, data, length, offset); }

/* The others: with an open file, with a path. */
#define OF_FILE(name, op, offset, types, ...)                            \
    int name types {                                                     \
        char full[PATH_MAX];                                             \
        int changes = opened(file, full);                                \
        if (changes && is_last()) return fails();                        \
        int result = REAL(name, __VA_ARGS__);                            \
        if (changes && result == 0) tell(op, full, "", offset, NULL, 0); \
        return result;                                                   \
    }
OF_FILE(fsync, "sync", 0, (int file), file)
OF_FILE(fdatasync, "sync", 0, (int file), file)
OF_FILE(ftruncate, "cut", size, (int file, off_t size), file, size)
OF_FILE(ftruncate64, "cut", size, (int file, off64_t size), file, size)

#define OF_PATH(name, types, ...)                                        \
    int name types {                                                     \
        char full[PATH_MAX];                                             \
        int changes = named(path, full);                                 \
        if (changes && is_last()) return fails();                        \
        int result = REAL(name, __VA_ARGS__);                            \
        if (changes && result == 0) tell(#name, full, "", 0, NULL, 0);   \
        return result;                                                   \
    }
OF_PATH(unlink, (const char *path), path)
OF_PATH(rmdir, (const char *path), path)
OF_PATH(mkdir, (const char *path, mode_t mode), path, mode)

int rename(const char *path, const char *to) {
    char full[PATH_MAX], other[PATH_MAX] = "";
    int changes = named(path, full) | named(to, other);
    if (changes && is_last()) return fails();
    int result = REAL(rename, path, to);
    if (changes && result == 0) tell("rename", full, other, 0, NULL, 0);
    return result;
}
