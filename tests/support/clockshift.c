/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a daemon under test. Two numbers stand in the file CLOCKSHIFT_FILE: by how many microseconds its wall
 * clock is moved, and by how many its CLOCK_BOOTTIME. CLOCK_MONOTONIC stays as it is: the kernel waits by it. gRPC core
 * waits by the wall clock, where the kernel's is not the one that it was told: such a wait is moved back. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
    _Atomic int64_t wall, boot;
} *shift;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("CLOCKSHIFT_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (memory != MAP_FAILED)
        shift = memory;
}

static void move(struct timespec *time, int64_t microseconds)
{
    microseconds += time->tv_nsec / 1000;
    time->tv_sec += microseconds / 1000000;
    time->tv_nsec = microseconds % 1000000 * 1000 + time->tv_nsec % 1000;
    if (time->tv_nsec < 0) {
        time->tv_nsec += 1000000000;
        time->tv_sec--;
    }
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *time)
{
    long result = syscall(SYS_clock_gettime, id, time);
    if (result == 0 && shift != NULL && (id == CLOCK_REALTIME || id == CLOCK_BOOTTIME))
        move(time, atomic_load(id == CLOCK_REALTIME ? &shift->wall : &shift->boot));
    return (int)result;
}

/* Abseil's waits, of which gRPC core's are made. */
__attribute__((visibility("default"))) long syscall(long number, ...)
{
    static long (*_Atomic real)(long, ...);
    if (real == NULL)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long args[6];
    struct timespec until;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && args[1] & FUTEX_CLOCK_REALTIME && args[3] != 0 && shift != NULL) {
        until = *(const struct timespec *)args[3];
        move(&until, -atomic_load(&shift->wall));
        args[3] = (long)&until;
    }
    return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
