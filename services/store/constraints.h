/* SPDX-License-Identifier: Apache-2.0 */
/* What holds between the rows of a database (struct store_constraint), in the two steps of its migration. */
#ifndef STORE_CONSTRAINTS_H
#define STORE_CONSTRAINTS_H

#include "store/driver.h"
#include "store/schema.h"

/* Those whose first step is `version`: from now on PostgreSQL takes no row that breaks one. Takes no time. SQLite can
 * only take them with their second step. */
enum status constraints_announce(struct connection *connection, const struct store_schema *schema, int64_t version);

/* Those whose second step is `version`. Rows that break a reference are deleted, which the log says (schema_mended);
 * where others are broken, STATUS_FAILED_PRECONDITION, with a sentence in `why`. On SQLite it writes their tables anew.
 */
enum status constraints_enforce(struct connection *connection, const struct store_schema *schema, int64_t version,
                                char why[STORE_WHY_MAX]);

#endif
