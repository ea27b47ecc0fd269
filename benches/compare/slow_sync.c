/* A disk whose syncs take SLOW_SYNC_US longer: preloaded, it sleeps before each fsync, fdatasync, msync(MS_SYNC) and
   sync_file_range that waits. Writes are as fast as they were. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void wait_longer(void) {
    const char *text = getenv("SLOW_SYNC_US");
    long us = text ? atol(text) : 0;
    struct timespec span = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&span, &span) != 0) {
    }
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return real(file);
}

int msync(void *start, size_t length, int flags) {
    static int (*real)(void *, size_t, int);
    if (!real) real = dlsym(RTLD_NEXT, "msync");
    if (flags & MS_SYNC) wait_longer();
    return real(start, length, flags);
}

int sync_file_range(int file, off64_t offset, off64_t bytes, unsigned int flags) {
    static int (*real)(int, off64_t, off64_t, unsigned int);
    if (!real) real = dlsym(RTLD_NEXT, "sync_file_range");
    if (flags & SYNC_FILE_RANGE_WAIT_AFTER) wait_longer();
    return real(file, offset, bytes, flags);
}
