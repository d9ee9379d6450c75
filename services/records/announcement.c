/* SPDX-License-Identifier: Apache-2.0 */
#include "records/announcement.h"

#include <stdio.h>

struct reading {
    struct announcement *due;
    int count;
    bool is_secret;
};

static enum status read_due(const struct store_row *row, void *arg)
{
    struct reading *reading = arg;
    struct announcement *one = &reading->due[reading->count++];
    *one = (struct announcement){.is_secret = reading->is_secret,
                                 .id = store_row_int(row, 0),
                                 .ends = store_row_int(row, 2),
                                 .announce = store_row_int(row, 3),
                                 .is_deleted = store_row_int(row, 4) != 0};
    snprintf(one->client_id, sizeof one->client_id, "%s", store_row_text(row, 1));
    if (one->is_secret)
        snprintf(one->hint, sizeof one->hint, "%s", store_row_text(row, 5));
    return STATUS_OK;
}

enum status announcement_due(struct store_tx *tx, int64_t now, int limit, struct announcement *due, int *ret_count)
{
    struct reading reading = {.due = due};
    TRY(store_run(tx,
                  "SELECT id, client_id, expires, announce, deleted FROM credential"
                  " WHERE announce <> 0 AND announce <= $1 ORDER BY announce LIMIT $2",
                  read_due, &reading, store_int(now), store_int(limit)));
    reading.is_secret = true;
    TRY(store_run(tx,
                  "SELECT s.id, c.client_id, s.ends, s.announce, c.deleted, s.hint FROM secret s"
                  " JOIN credential c ON c.id = s.credential"
                  " WHERE s.announce <> 0 AND s.announce <= $1 ORDER BY s.announce LIMIT $2",
                  read_due, &reading, store_int(now), store_int(limit)));
    *ret_count = reading.count;
    return STATUS_OK;
}

enum status announcement_move(struct store_tx *tx, const struct announcement *announcement, int64_t next)
{
    if (announcement->is_secret)
        return store_send(tx, "UPDATE secret SET announce = $1 WHERE id = $2", store_int(next),
                          store_int(announcement->id));
    return store_send(tx, "UPDATE credential SET announce = $1 WHERE id = $2", store_int(next),
                      store_int(announcement->id));
}
