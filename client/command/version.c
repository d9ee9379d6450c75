/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"
#include "text.h"

enum exit_code run_version_print(struct context *context)
{
    const struct view view = {.columns = COLUMNS({"gatehouse", "version", NULL, 0}), .value_keys = KEYS("version")};
    json_t *version = text_must(json_pack("{s:s}", "version", GATEHOUSE_VERSION));
    output_record(context, version, &view);
    json_decref(version);
    return EXIT_DONE;
}
