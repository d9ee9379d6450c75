/* SPDX-License-Identifier: Apache-2.0 */
#include "records/token_count.h"

static enum status read_row(const struct store_row *from, void *arg)
{
    struct token_count_row *row = arg;
    row->epoch = store_row_int(from, 0);
    row->version = store_row_int(from, 1);
    row->live = store_row_int(from, 2);
    row->counted = store_row_int(from, 3);
    row->turn = store_row_int(from, 4);
    return STATUS_OK;
}

enum status token_count_row_load(struct store_tx *tx, int64_t credential_id, struct token_count_row *ret_row)
{
    *ret_row = (struct token_count_row){.credential_id = credential_id};
    TRY(store_run(tx, "SELECT epoch, version, live, counted, turn FROM token_count WHERE credential = $1", read_row,
                  ret_row, store_int(credential_id)));
    return ret_row->epoch == 0 ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status token_count_row_save(struct store_tx *tx, const struct token_count_row *row)
{
    return store_send(tx,
                      "INSERT INTO token_count (credential, epoch, version, live, counted) VALUES ($1, $2, $3, $4, $5)"
                      " ON CONFLICT (credential) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,"
                      " live = excluded.live, counted = excluded.counted",
                      store_int(row->credential_id), store_int(row->epoch), store_int(row->version),
                      store_int(row->live), store_int(row->counted));
}

enum status token_count_row_save_turn(struct store_tx *tx, int64_t credential_id, int64_t epoch, int64_t turn)
{
    return store_send(tx,
                      "INSERT INTO token_count (credential, epoch, version, live, counted, turn)"
                      " SELECT id, 0, 0, 0, 0, $1 FROM credential"
                      " WHERE id = $2 AND epoch = $3 AND deleted = 0 AND suspended = 0"
                      " ON CONFLICT (credential) DO UPDATE SET turn = excluded.turn",
                      store_int(turn), store_int(credential_id), store_int(epoch));
}

enum status token_count_row_add(struct store_tx *tx, int64_t credential_id, int64_t epoch, int64_t change)
{
    return store_send(tx,
                      "UPDATE token_count SET live = live + $1, counted = CASE WHEN live >= $2 THEN 0 ELSE counted END"
                      " WHERE credential = $3 AND epoch = $4 AND live + $1 >= 0",
                      store_int(change), store_int(TOKEN_COUNT_MANY), store_int(credential_id), store_int(epoch));
}

enum status token_count_row_remove(struct store_tx *tx, int64_t credential_id)
{
    return store_send(tx, "DELETE FROM token_count WHERE credential = $1", store_int(credential_id));
}
