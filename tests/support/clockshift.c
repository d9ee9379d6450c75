/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a daemon under test. Two numbers stand in the file CLOCKSHIFT_FILE: by how many microseconds its wall
 * clock is moved, and by how many its CLOCK_BOOTTIME. CLOCK_MONOTONIC stays as it is: the kernel waits by it. */
#include <fcntl.h>
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

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *time)
{
    long result = syscall(SYS_clock_gettime, id, time);
    if (result == 0 && shift != NULL && (id == CLOCK_REALTIME || id == CLOCK_BOOTTIME)) {
        int64_t microseconds = atomic_load(id == CLOCK_REALTIME ? &shift->wall : &shift->boot) + time->tv_nsec / 1000;
        time->tv_sec += microseconds / 1000000;
        time->tv_nsec = microseconds % 1000000 * 1000 + time->tv_nsec % 1000;
        if (time->tv_nsec < 0) {
            time->tv_nsec += 1000000000;
            time->tv_sec--;
        }
    }
    return (int)result;
}
