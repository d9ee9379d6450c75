/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of subcommands: dispatch, help and completion read it. */
#include "command.h"

#define OPTIONS(...) \
    (const enum option_id[]) \
    { \
        __VA_ARGS__, OPTION_END \
    }

const struct command commands[] = {
    {"credential create", credential_create, "NAME", "Make a credential with its first secret key",
     OPTIONS(OPTION_ROLE, OPTION_EXPIRES, OPTION_OWNER, OPTION_WRITE_SECRET, OPTION_REQUEST_ID, OPTION_DRY_RUN), 1, 1},
    {"credential list", credential_list, "", "List credentials with roles, expiry date, status and last use",
     OPTIONS(OPTION_MATCH_NAME, OPTION_MATCH_ROLE, OPTION_MATCH_GRANTED, OPTION_MATCH_OWNER, OPTION_MATCH_STATUS,
             OPTION_EXPIRES_WITHIN, OPTION_FILTER, OPTION_SORT, OPTION_REVERSE, OPTION_LIMIT, OPTION_COLUMNS,
             OPTION_NO_HEADERS),
     0, 0},
    {"credential get", credential_get, "CREDENTIAL",
     "Show one credential: roles, also revoked ones, and secret keys' ages", OPTIONS(OPTION_END), 1, 1},
    {"credential update", credential_update, "CREDENTIAL", "Change name, expiry date or owner",
     OPTIONS(OPTION_NAME, OPTION_EXPIRES, OPTION_OWNER, OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1,
     1},
    {"credential delete", credential_delete, "CREDENTIAL", "Delete a credential; its tokens die at once",
     OPTIONS(OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1, 1},
    {"credential undelete", credential_undelete, "CREDENTIAL", "Bring a deleted credential back; its tokens stay dead",
     OPTIONS(OPTION_END), 1, 1},
    {"credential grant", credential_grant, "CREDENTIAL ROLE...", "Grant roles to a credential",
     OPTIONS(OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 2, -1},
    {"credential revoke", credential_revoke, "CREDENTIAL ROLE...", "Revoke roles from a credential",
     OPTIONS(OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 2, -1},

    {"secret regenerate", secret_regenerate, "CREDENTIAL", "Make a new secret key for a credential",
     OPTIONS(OPTION_OVERLAP, OPTION_WRITE_SECRET, OPTION_REQUEST_ID, OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE,
             OPTION_YES),
     1, 1},
    {"secret end", secret_end, "CREDENTIAL SECRET-ID", "End one secret key before its time; live tokens go on",
     OPTIONS(OPTION_END), 2, 2},

    {"role list", role_list, "", "List the catalogue of roles",
     OPTIONS(OPTION_RETIRED, OPTION_COLUMNS, OPTION_NO_HEADERS), 0, 0},
    {"role create", role_create, "ID", "Add a role of your own to the catalogue",
     OPTIONS(OPTION_NAME, OPTION_GROUP, OPTION_DESCRIPTION), 1, 1},
    {"role update", role_update, "ROLE", "Change a role's name, group or description",
     OPTIONS(OPTION_NAME, OPTION_GROUP, OPTION_DESCRIPTION, OPTION_ETAG), 1, 1},
    {"role retire", role_retire, "ROLE", "Retire a role: it is not granted anew, its holders keep it",
     OPTIONS(OPTION_UNDO, OPTION_ETAG), 1, 1},

    {"user set-roles", user_set_roles, "USER [ROLE...]", "Say which roles a user has now, all of them",
     OPTIONS(OPTION_NONE, OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1, -1},
    {"user get", user_get, "USER", "Show one user, an owner of credentials", OPTIONS(OPTION_END), 1, 1},
    {"user list", user_list, "", "List users, the owners of credentials",
     OPTIONS(OPTION_MATCH_USER, OPTION_MATCH_ROLE, OPTION_FILTER, OPTION_LIMIT, OPTION_COLUMNS, OPTION_NO_HEADERS), 0,
     0},
    {"user delete", user_delete, "USER", "Delete a user; its credentials have no role from then on",
     OPTIONS(OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1, 1},

    {"token issue", token_issue, "", "Get a bearer token for the calling credential", OPTIONS(OPTION_SCOPE), 0, 0},
    {"token introspect", token_introspect, "", "Ask whether a token is active and what its bearer may do",
     OPTIONS(OPTION_ASKED_TOKEN_FILE, OPTION_CALLED_API, OPTION_REQUIRE), 0, 0},
    {"token revoke", token_revoke, "", "End one token at once", OPTIONS(OPTION_ASKED_TOKEN_FILE, OPTION_EVERYWHERE), 0,
     0},
    {"token list", token_list, "CREDENTIAL", "List a credential's live tokens, without the tokens",
     OPTIONS(OPTION_LIMIT, OPTION_COLUMNS, OPTION_NO_HEADERS), 1, 1},
    {"token end", token_end, "ACCESSOR", "End one token, by the accessor that token list shows",
     OPTIONS(OPTION_EVERYWHERE), 1, 1},
    {"token end-all", token_end_all, "CREDENTIAL", "End all live tokens of a credential",
     OPTIONS(OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1, 1},

    {"settings get", settings_get, "[SETTING]", "Show settings", OPTIONS(OPTION_END), 0, 1},
    {"settings set", settings_set, "SETTING=VALUE...", "Change settings; effective at once, for live tokens too",
     OPTIONS(OPTION_ETAG, OPTION_DRY_RUN, OPTION_EVERYWHERE, OPTION_YES), 1, -1},

    {"usage", usage_query, "", "Show who called which API, how often and when last",
     OPTIONS(OPTION_BY, OPTION_CREDENTIAL, OPTION_MATCH_API, OPTION_PART_OF_API, OPTION_INTERNAL, OPTION_SINCE,
             OPTION_UNTIL, OPTION_TOP, OPTION_LIMIT, OPTION_COLUMNS, OPTION_NO_HEADERS),
     0, 0},
    {"audit list", audit_list, "", "Show the audit log, newest first",
     OPTIONS(OPTION_MATCH_ACTOR, OPTION_MATCH_ACTION, OPTION_MATCH_SUBJECT, OPTION_MATCH_PEER, OPTION_MATCH_OUTCOME,
             OPTION_MATCH_TEXT, OPTION_SINCE, OPTION_UNTIL, OPTION_FILTER, OPTION_LIMIT, OPTION_COLUMNS,
             OPTION_NO_HEADERS),
     0, 0},
    {"audit verify", audit_verify, "", "Check that no event of the audit log was altered or removed",
     OPTIONS(OPTION_END), 0, 0},
    {"top", top_run, "", "Watch who calls which API; ends at q",
     OPTIONS(OPTION_ONCE, OPTION_INTERVAL, OPTION_SINCE, OPTION_CREDENTIAL, OPTION_LIMIT, OPTION_COLUMNS,
             OPTION_NO_HEADERS),
     0, 0},

    {"admin backup", admin_backup, "FILE", "Back up a SQLite database, while the daemon runs",
     OPTIONS(OPTION_FROM, OPTION_OVERWRITE), 1, 1},
    {"admin check", admin_check, "STORE", "Check that a SQLite database is whole, while the daemon runs",
     OPTIONS(OPTION_END), 1, 1},
    {"admin copy", admin_copy, "", "Move an installation to another store, such as from SQLite to PostgreSQL",
     OPTIONS(OPTION_FROM, OPTION_TO), 0, 0},
    {"admin clock", admin_clock, "STORE", "Show the time that a store remembers, or lower one that a wrong clock left",
     OPTIONS(OPTION_LOWER, OPTION_YES), 1, 1},

    {"completion", completion_print, "bash|zsh|fish", "Print a completion script", OPTIONS(OPTION_END), 1, 1},
    {"version", version_print, "", "Print the version", OPTIONS(OPTION_END), 0, 0},
    {0},
};
