/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "screen.h"
#include "text.h"
#include "time_format.h"

enum { DEFAULT_SECONDS = 2, MOST_SECONDS = 3600 };

static bool take_interval(struct context *context, int64_t *ret_seconds)
{
    const char *text = option_value(&context->arguments, OPTION_INTERVAL);
    *ret_seconds = DEFAULT_SECONDS;
    if (text == NULL || (duration_parse(text, ret_seconds) && *ret_seconds >= 1 && *ret_seconds <= MOST_SECONDS))
        return true;
    report_usage(context, "--interval: \"%s\" is not a duration from 1s to 1h", text);
    return false;
}

/* One run; what it printed, malloc'd. */
static char *run_once(struct context *context, enum exit_code *ret_code)
{
    char *text = NULL;
    size_t size;
    FILE *out = stdout, *err = stderr, *both = text_must(open_memstream(&text, &size));
    stdout = stderr = both;
    context->now = (int64_t)time(NULL);
    *ret_code = context->command->run(context);
    stdout = out;
    stderr = err;
    fclose(both);
    return text_must(text);
}

enum exit_code watch_run(struct context *context)
{
    struct screen screen;
    int64_t seconds;
    enum exit_code code = EXIT_DONE;
    char *text = NULL;
    if (!take_interval(context, &seconds))
        return EXIT_USAGE;
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return report_usage(context, "--watch needs a terminal");
    setenv("NO_COLOR", "1", 1);
    setenv("GATEHOUSE_PAGER", "", 1);
    screen_prepare();
    if (!screen_open(&screen))
        return report_usage(context, "--watch needs a terminal");
    do {
        text_free(&text);
        text = run_once(context, &code);
        screen_draw(text);
    } while (code == EXIT_DONE && screen_wait(&screen, seconds * 1000));
    screen_close(&screen);
    if (code != EXIT_DONE)
        fputs(text, stderr); /* on the screen from before, where it stays */
    text_free(&text);
    return code;
}
