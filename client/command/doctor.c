/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "list.h"
#include "text.h"
#include "time_format.h"

enum { SOON = 30 * 86400 };

static const char *const words[] = {
    [FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "FAIL", [FINDING_SKIPPED] = "skipped"};

void doctor_say(struct doctor *doctor, enum finding finding, const char *check, const char *advice, const char *format,
                ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    TEXT_FREE char *found = text_must(text);
    TEXT_FREE char *shown = text_printable(found); /* what a stranger's certificate says is in it */
    json_t *row = text_must(json_pack("{s:s, s:s, s:s}", "result", words[finding], "check", check, "found", shown));
    if (advice != NULL)
        json_object_set_new(row, "advice", text_must(json_string(advice)));
    json_array_append_new(doctor->findings, row);
    doctor->has_failed |= finding == FINDING_FAIL;
}

void doctor_say_end(struct doctor *doctor, const char *check, const char *what, int64_t end, const char *advice)
{
    int64_t now = doctor->context->now;
    char when[TIME_TEXT_MAX];
    instant_format_relative(end, now, when);
    enum finding finding = end <= now ? FINDING_FAIL : end - now < SOON ? FINDING_WARN : FINDING_OK;
    doctor_say(doctor, finding, check, finding == FINDING_OK ? NULL : advice, "%s %s: %s", what,
               end <= now ? "has ended" : "ends", when);
}

static void print_text(const struct doctor *doctor)
{
    size_t i;
    const json_t *row;
    json_array_foreach(doctor->findings, i, row)
    {
        const char *advice = json_string_value(json_object_get(row, "advice"));
        printf("%-8s%-14s%s\n", json_string_value(json_object_get(row, "result")),
               json_string_value(json_object_get(row, "check")), json_string_value(json_object_get(row, "found")));
        if (advice != NULL)
            printf("%22s%s\n", "", advice);
    }
}

static enum exit_code print(struct doctor *doctor)
{
    const struct view view = {
        .columns = COLUMNS({"RESULT", "result", NULL, 0}, {"CHECK", "check", NULL, 0},
                           {"FOUND", "found", NULL, COLUMN_WRAP}, {"ADVICE", "advice", NULL, 0}),
        .value_keys = KEYS("result", "check"),
    };
    struct list list;
    size_t i;
    const json_t *row;
    if (doctor->context->format == OUTPUT_TABLE) {
        print_text(doctor);
        return EXIT_DONE;
    }
    if (!list_begin(&list, doctor->context, &view, "findings"))
        return EXIT_USAGE;
    json_array_foreach(doctor->findings, i, row) list_add(&list, row);
    list_end(&list, "");
    return EXIT_DONE;
}

enum exit_code run_doctor(struct context *context)
{
    struct doctor doctor = {.context = context,
                            .address = context->config.address.value == NULL ? "127.0.0.1:50051"
                                                                             : context->config.address.value,
                            .findings = text_must(json_array())};
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up in the middle of TLS */
    if (doctor_check_local(&doctor))
        doctor_check_server(&doctor);
    enum exit_code code = print(&doctor);
    json_decref(doctor.findings);
    text_wipe(&doctor.authorization);
    if (code != EXIT_DONE)
        return code;
    return !doctor.has_failed ? EXIT_DONE : doctor.is_unreachable ? EXIT_UNREACHABLE : EXIT_REFUSED;
}
