/* SPDX-License-Identifier: Apache-2.0 */
#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { LINE_MAX_BYTES = 1024 };

static bool make_folders(const char *path)
{
    TEXT_FREE char *folder = text_copy(path);
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return true;
}

bool private_file_write(const char *path, const char *text)
{
    TEXT_FREE char *beside = text_format("%s.XXXXXX", path); /* mkstemp makes it 0600 */
    if (!make_folders(path))
        return false;
    int fd = mkstemp(beside);
    if (fd < 0)
        return false;
    size_t len = strlen(text);
    bool is_written = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written && rename(beside, path) == 0;
    int why = errno;
    if (!is_written)
        unlink(beside);
    errno = why;
    return is_written;
}

char *private_file_read(const char *path)
{
    struct stat stat;
    char buffer[LINE_MAX_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    bool is_own = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_uid == geteuid() &&
                  (stat.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    ssize_t len = is_own ? read(fd, buffer, sizeof buffer - 1) : -1;
    close(fd);
    buffer[len < 0 ? 0 : len] = '\0';
    char *line = len <= 0 ? NULL : text_must(strndup(buffer, strcspn(buffer, "\n")));
    explicit_bzero(buffer, sizeof buffer);
    return line;
}
