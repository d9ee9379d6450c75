/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "report.h"
#include "text.h"

/* Reads to the end or to size bytes. -1: errno says why. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t count = read(fd, buffer + len, size - len);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        len += (size_t)count;
        if (isatty(fd) && buffer[len - 1] == '\n')
            break; /* a line is all that a person types */
    }
    return (ssize_t)len;
}

static ssize_t read_unechoed(char *buffer, size_t size, const char *what)
{
    struct termios before, silent;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return read_all(STDIN_FILENO, buffer, size);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "%s: ", what);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    ssize_t len = read_all(STDIN_FILENO, buffer, size);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return len;
}

static ssize_t read_stdin(struct context *context, char *buffer, size_t size, const char *what)
{
    if (context->stdin_reader != NULL) {
        report_usage(context, "standard input is read for the %s already; put the %s in a file", context->stdin_reader,
                     what);
        return -1;
    }
    context->stdin_reader = what;
    ssize_t len = isatty(STDIN_FILENO) ? read_unechoed(buffer, size, what) : read_all(STDIN_FILENO, buffer, size);
    if (len < 0)
        report_usage(context, "cannot read the %s from standard input: %s", what, strerror(errno));
    return len;
}

static ssize_t read_path(struct context *context, const char *path, char *buffer, size_t size, const char *what)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read_all(fd, buffer, size);
    struct stat stat;
    if (len < 0)
        report_usage(context, "cannot read the %s from %s: %s", what, path, strerror(errno));
    else if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (stat.st_mode & (S_IRGRP | S_IROTH)) != 0)
        fprintf(stderr, "gatehouse: others can read %s; `chmod 600` it\n", path);
    if (fd >= 0)
        close(fd);
    return len;
}

char *secret_read(struct context *context, const char *path, size_t max, const char *what)
{
    char buffer[SECRET_READ_MAX + 64]; /* so much white space may follow it */
    bool is_stdin = strcmp(path, "-") == 0;
    ssize_t count = is_stdin ? read_stdin(context, buffer, sizeof buffer, what)
                             : read_path(context, path, buffer, sizeof buffer, what);
    if (count < 0)
        return NULL;
    size_t len = (size_t)count;
    while (len > 0 && strchr(" \t\r\n", buffer[len - 1]) != NULL && buffer[len - 1] != '\0')
        len--;
    const char *from = is_stdin ? "standard input" : path;
    char *secret = NULL;
    if (len == 0)
        report_usage(context, "there is no %s in %s", what, from);
    else if (len > max)
        report_usage(context, "%s does not hold a %s: it is longer than %zu bytes", from, what, max);
    else if (memchr(buffer, '\0', len) != NULL || memchr(buffer, '\n', len) != NULL)
        report_usage(context, "%s does not hold a %s: it has more than one line", from, what);
    else
        secret = text_must(strndup(buffer, len));
    explicit_bzero(buffer, sizeof buffer);
    return secret;
}

FILE *secret_file_create(struct context *context, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file != NULL)
        setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
    else
        report_usage(context, "cannot make %s: %s", path, strerror(errno));
    return file;
}

enum exit_code secret_file_write(struct context *context, FILE *file, const char *path, const char *secret)
{
    bool is_written = fprintf(file, "%s\n", secret) > 0 && fsync(fileno(file)) == 0;
    if (fclose(file) == 0 && is_written)
        return EXIT_DONE;
    fprintf(stderr,
            "gatehouse: the secret key could not be written to %s: %s\n"
            "It is lost; `gatehouse secret regenerate` makes a new one.\n",
            path, strerror(errno));
    context->exit_code = EXIT_REFUSED;
    return EXIT_REFUSED;
}

FILE *secret_file_begin(struct context *context, const char *path, char **ret_temporary)
{
    char blank[SECRET_READ_MAX];
    struct stat now;
    char *temporary = text_format("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r+");
    memset(blank, '\n', sizeof blank);
    bool is_ready = file != NULL && write(fd, blank, sizeof blank) == (ssize_t)sizeof blank && fsync(fd) == 0;
    if (is_ready && geteuid() == 0 && stat(path, &now) == 0)
        is_ready = fchown(fd, now.st_uid, now.st_gid) == 0;
    if (is_ready) {
        setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
        *ret_temporary = temporary;
        return file;
    }
    report_usage(context, "cannot make a file to take the place of %s: %s", path, strerror(errno));
    secret_file_discard(file, temporary);
    text_free(&temporary);
    return NULL;
}

/* A rename is durable when its folder is. */
static bool sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    TEXT_FREE char *folder = slash == NULL ? text_copy(".") : text_must(strndup(path, (size_t)(slash - path) + 1));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return is_synced;
}

enum exit_code secret_file_replace(struct context *context, FILE *file, const char *temporary, const char *path,
                                   const char *secret)
{
    bool is_written = fseek(file, 0, SEEK_SET) == 0 && fprintf(file, "%s\n", secret) > 0 && fflush(file) == 0 &&
                      ftruncate(fileno(file), (off_t)strlen(secret) + 1) == 0 && fsync(fileno(file)) == 0;
    is_written &= fclose(file) == 0;
    if (is_written && rename(temporary, path) == 0 && sync_folder(path))
        return EXIT_DONE;
    fprintf(stderr,
            "gatehouse: the new secret key could not be put into %s: %s\n"
            "It is lost; the key before it works until its overlap ends. Try again in a minute.\n",
            path, strerror(errno));
    unlink(temporary);
    context->exit_code = EXIT_REFUSED;
    return EXIT_REFUSED;
}

void secret_file_discard(FILE *file, const char *path)
{
    if (file == NULL)
        return;
    fclose(file);
    unlink(path);
}
