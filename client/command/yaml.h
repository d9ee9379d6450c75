/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAML_H
#define YAML_H

#include <jansson.h>

/* JSON as YAML 1.2: blocks for what is in them, every text quoted as in JSON, so that no reader takes "no" for false.
 * malloc'd. */
char *yaml_text(const json_t *value);

#endif
