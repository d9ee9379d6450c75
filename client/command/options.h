/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of options, and the command line as read. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct command;

/* What the shell can offer as an option's or an argument's value. */
enum completion {
    COMPLETE_NOTHING,
    COMPLETE_FILE,
    COMPLETE_CREDENTIAL,
    COMPLETE_ROLE,
    COMPLETE_USER,
    COMPLETE_CONTEXT,
    COMPLETE_WORDS
};

/* name, long, short, argument (NULL: a flag), what completes it, doc. An option whose argument can be given several
 * times, or several separated by commas, has an argument that ends in "...". */
#define OPTION_TABLE(X) \
    /* of every command; the first of these is ADDRESS, the last HELP */ \
    X(ADDRESS, "address", 0, "HOST:PORT", COMPLETE_NOTHING, "The server's gRPC address (default 127.0.0.1:50051)") \
    X(CA_FILE, "ca-file", 0, "FILE", COMPLETE_FILE, "Speak TLS; the server must be signed by this authority (PEM)") \
    X(CERT_FILE, "cert-file", 0, "FILE", COMPLETE_FILE, "This client's certificate, for mutual TLS (PEM)") \
    X(KEY_FILE, "key-file", 0, "FILE", COMPLETE_FILE, "That certificate's private key (PEM)") \
    X(SERVER_NAME, "server-name", 0, "NAME", COMPLETE_NOTHING, \
      "The name in the server's certificate, where it is not the address's") \
    X(CLIENT_ID, "client-id", 0, "ID", COMPLETE_NOTHING, "Who is calling: a credential's client ID") \
    X(CLIENT_SECRET_FILE, "client-secret-file", 0, "FILE", COMPLETE_FILE, \
      "The file that holds its secret key; - is standard input") \
    X(TOKEN_FILE, "token-file", 0, "FILE", COMPLETE_FILE, \
      "Who is calling, otherwise: the file that holds a bearer token; - is standard input") \
    X(TIMEOUT, "timeout", 0, "DURATION", COMPLETE_NOTHING, "How long a call may take (default 10s)") \
    X(CONTEXT, "context", 0, "NAME", COMPLETE_CONTEXT, "Server and caller, as `gatehouse context` has saved them") \
    X(CONFIG, "config", 0, "FILE", COMPLETE_FILE, "Instead of ~/.config/gatehouse/config") \
    X(OUTPUT, "output", 'o', "table|wide|json|yaml|csv|value", COMPLETE_WORDS, "How to print (default table)") \
    X(TOKEN, "token", 0, "TOKEN", COMPLETE_NOTHING, NULL) \
    X(CLIENT_SECRET, "client-secret", 0, "SECRET", COMPLETE_NOTHING, NULL) \
    X(CURL, "curl", 0, NULL, COMPLETE_NOTHING, \
      "Show the call as a command line of curl, without secrets, and do not make it") \
    X(VERSION, "version", 0, NULL, COMPLETE_NOTHING, "Print the version") \
    X(USAGE, "usage", 0, NULL, COMPLETE_NOTHING, "Give a short usage message") \
    X(HELP, "help", 'h', NULL, COMPLETE_NOTHING, "Give this help list") \
    /* of some */ \
    X(ROLE, "role", 'r', "ROLE...", COMPLETE_ROLE, "A role; several separated by commas, or by repeating the option") \
    X(EXPIRES, "expires", 'e', "WHEN", COMPLETE_NOTHING, \
      "When it expires: 90d (the default of a new one), 12h, 2027-01-31 (the end of that day), an RFC 3339 time, or " \
      "never") \
    X(SELF_ROTATION, "self-rotation", 0, "on|off", COMPLETE_WORDS, "Its holder may make its next secret key itself") \
    X(LIMITS, "limits", 0, "LIMITS", COMPLETE_NOTHING, \
      "Its own limits, in place of the settings: idle_timeout=5m, max_token_life=8h, max_tokens=10, " \
      "max_tokens_per_hour=60, by commas, each with :observe to count only; or none") \
    X(FROM_NETWORK, "from-network", 0, "NETWORKS", COMPLETE_NOTHING, \
      "Where it may be used from: networks and addresses, separated by commas, or anywhere") \
    X(OBSERVE_NETWORKS, "observe-networks", 0, NULL, COMPLETE_NOTHING, \
      "Refuse nothing from elsewhere, but count and tell it") \
    X(OWNER, "owner", 0, "USER", COMPLETE_USER, "The user that it acts for; \"\" for none") \
    X(CONTACT, "contact", 0, "TEXT", COMPLETE_NOTHING, "Whom to ask about it; \"\" for nobody") \
    X(LABEL, "label", 0, "KEY=VALUE", COMPLETE_NOTHING, \
      "A label, such as team=payments; several by repeating the option") \
    X(REMOVE_LABEL, "remove-label", 0, "KEY", COMPLETE_NOTHING, "Take this label away; may be repeated") \
    X(NAME, "name", 0, "NAME", COMPLETE_NOTHING, "The name") \
    X(WRITE_SECRET, "write-secret", 0, "FILE", COMPLETE_FILE, \
      "Write the secret key to a new file of mode 0600 instead of printing it") \
    X(REPLACE_SECRET, "secret-file", 0, "FILE", COMPLETE_FILE, \
      "The file whose secret key is replaced (default: the caller's own, --client-secret-file)") \
    X(REQUEST_ID, "request-id", 0, "ID", COMPLETE_NOTHING, \
      "Repeating the command with the same ID makes nothing a second time") \
    X(ETAG, "etag", 0, "ETAG", COMPLETE_NOTHING, "Change it only if it still is as read") \
    X(DRY_RUN, "dry-run", 'n', NULL, COMPLETE_NOTHING, "Say what would happen, and change nothing") \
    X(EVERYWHERE, "everywhere", 0, NULL, COMPLETE_NOTHING, \
      "Wait until no server and no cache calls active what this ends, and say how long that took") \
    X(YES, "yes", 'y', NULL, COMPLETE_NOTHING, "Do not ask; for scripts") \
    X(OVERLAP, "overlap", 0, "DURATION", COMPLETE_NOTHING, \
      "How long the current secret key keeps working (default 24h); 0: it ends at once, and with it all tokens") \
    X(MATCH_NAME, "name", 0, "TEXT", COMPLETE_NOTHING, "Only those whose name contains TEXT, in any letter case") \
    X(MATCH_ROLE, "role", 'r', "ROLE", COMPLETE_ROLE, "Only those that have ROLE now") \
    X(MATCH_GRANTED, "granted", 0, "ROLE", COMPLETE_ROLE, "Only those that were granted ROLE, effective or not") \
    X(MATCH_OWNER, "owner", 0, "USER", COMPLETE_USER, "Only those that act for USER") \
    X(MATCH_CONTACT, "contact", 0, "TEXT", COMPLETE_NOTHING, \
      "Only those whose contact contains TEXT, in any letter case") \
    X(MATCH_LABEL, "label", 0, "KEY[=VALUE]", COMPLETE_NOTHING, \
      "Only those with this label, and this value; may be repeated") \
    X(MATCH_STATUS, "status", 0, "active|expired|suspended|deleted|any", COMPLETE_WORDS, \
      "Only those of this status (default: not deleted)") \
    X(EXPIRES_WITHIN, "expires-within", 0, "DURATION", COMPLETE_NOTHING, \
      "Only those that expire within DURATION, such as 30d") \
    X(SORT, "sort", 0, "name|created|expires|last-used", COMPLETE_WORDS, \
      "Order (default name; with --expires-within expires)") \
    X(REVERSE, "reverse", 0, NULL, COMPLETE_NOTHING, "The other way round") \
    X(FILTER, "filter", 0, "FILTER", COMPLETE_NOTHING, "A filter in the server's own words, beside the other options") \
    X(LIMIT, "limit", 0, "N", COMPLETE_NOTHING, "At most N; 0 is all") \
    X(GROUP, "group", 0, "GROUP", COMPLETE_NOTHING, "The heading under which it is listed, such as \"Access Rights\"") \
    X(DESCRIPTION, "description", 0, "TEXT", COMPLETE_NOTHING, "What its holder may do") \
    X(RETIRED, "retired", 0, NULL, COMPLETE_NOTHING, "Retired ones too") \
    X(UNDO, "undo", 0, NULL, COMPLETE_NOTHING, "Bring a retired role back") \
    X(NONE, "none", 0, NULL, COMPLETE_NOTHING, "The user has no roles any more") \
    X(MATCH_USER, "user", 0, "TEXT", COMPLETE_NOTHING, "Only those whose ID contains TEXT, in any letter case") \
    X(SCOPE, "scope", 's', "ROLE...", COMPLETE_ROLE, "Carry only these roles (default: all that the credential has)") \
    X(ASKED_TOKEN_FILE, "token-file", 0, "FILE", COMPLETE_FILE, \
      "The file that holds the token in question; - is standard input (default)") \
    X(CALLED_API, "api", 0, "API", COMPLETE_NOTHING, \
      "The token is being used to call API, such as \"POST /api/cases\"; without, this only looks, and uses nothing") \
    X(REQUIRE, "require", 0, "ROLE...", COMPLETE_ROLE, "Is it allowed? It is if it carries each of these roles") \
    X(BY, "by", 0, "credential|api|hour|day...", COMPLETE_WORDS, "What a row stands for (default credential,api)") \
    X(CREDENTIAL, "credential", 0, "CREDENTIAL", COMPLETE_CREDENTIAL, "Only this credential, by client ID or name") \
    X(MATCH_API, "api", 0, "API", COMPLETE_NOTHING, "Only this API") \
    X(PART_OF_API, "api-contains", 0, "TEXT", COMPLETE_NOTHING, \
      "Only APIs whose name contains TEXT, in any letter case") \
    X(INTERNAL, "internal", 0, NULL, COMPLETE_NOTHING, \
      "Gatehouse's own methods too, which services and administrators call") \
    X(SINCE, "since", 0, "WHEN", COMPLETE_NOTHING, \
      "From WHEN on: a duration back from now (24h), a date, an RFC 3339 time") \
    X(UNTIL, "until", 0, "WHEN", COMPLETE_NOTHING, "Up to WHEN, and not WHEN itself") \
    X(TOP, "top", 0, "N", COMPLETE_NOTHING, "The N with the most calls, most first") \
    X(MATCH_ACTOR, "actor", 0, "ID", COMPLETE_NOTHING, \
      "Who did it: a credential, by client ID or name, or a mutual-TLS identity") \
    X(MATCH_ACTION, "action", 0, "NAME", COMPLETE_NOTHING, "What was done, such as CreateCredential") \
    X(MATCH_SUBJECT, "subject", 0, "ID", COMPLETE_NOTHING, \
      "What it was done to: a credential, by client ID or name, a user, role or accessor") \
    X(MATCH_PEER, "peer", 0, "ADDRESS", COMPLETE_NOTHING, "From which address") \
    X(MATCH_OUTCOME, "outcome", 0, "CODE", COMPLETE_NOTHING, "With which outcome, such as OK or UNAUTHENTICATED") \
    X(MATCH_TEXT, "text", 0, "TEXT", COMPLETE_NOTHING, "Only those whose detail contains TEXT") \
    X(COLUMNS, "columns", 0, "NAME,...", COMPLETE_NOTHING, "Only these columns, in this order, by title or JSON name") \
    X(NO_HEADERS, "no-headers", 0, NULL, COMPLETE_NOTHING, "No line of titles above a table or CSV") \
    X(WATCH, "watch", 0, NULL, COMPLETE_NOTHING, "Look again and again, until q is pressed; see --interval") \
    X(ONCE, "once", 0, NULL, COMPLETE_NOTHING, "Print one frame and exit") \
    X(INTERVAL, "interval", 0, "DURATION", COMPLETE_NOTHING, "How often to look (default 2s)") \
    X(FROM, "from", 0, "STORE", COMPLETE_NOTHING, \
      "The store, as in the daemon's settings: sqlite:FILE, postgresql://…") \
    X(TO, "to", 0, "STORE", COMPLETE_NOTHING, "The store that gets it: sqlite:FILE or postgresql://…") \
    X(OVERWRITE, "overwrite", 0, NULL, COMPLETE_NOTHING, "Replace a FILE that is there") \
    X(LOWER, "lower", 0, "TIME", COMPLETE_NOTHING, "Lower it to TIME: now, a date, an RFC 3339 time")

enum option_id {
    OPTION_BEFORE_FIRST = 0xff, /* above every short option, so that a key is unambiguous to argp */
#define OPTION_ENUM(id, ...) OPTION_##id,
    OPTION_TABLE(OPTION_ENUM)
#undef OPTION_ENUM
        OPTION_END
};

struct option_row {
    enum option_id id;
    const char *name;
    char letter;
    const char *argument;
    enum completion completion;
    const char *doc; /* NULL: it exists to be refused */
};

struct words {
    char **items; /* malloc'd, as each of them is */
    size_t count;
};

struct arguments {
    const char *values[OPTION_END - OPTION_BEFORE_FIRST]; /* "" for a flag, NULL: not given */
    struct words words;                                   /* of the one option that can be repeated, or has commas */
    struct words labels;                                  /* "key=value", or "key" alone, in their order */
    char **rest;                                          /* the arguments that are no options */
    int rest_count;
};

/* Its line in the table of options. */
const struct option_row *option_row(enum option_id id);
/* Does every command have it? */
bool option_is_common(enum option_id id);
/* May it be given more than once? */
bool option_is_repeated(const struct option_row *row);

/* NULL: not given. */
const char *option_value(const struct arguments *arguments, enum option_id id);

/* Reads options up to the first word that is none and gives its index, or argc. Ends the process on --help and where
 * they make no sense. */
int options_parse_common(int argc, char **argv, struct arguments *arguments);

/* Reads all of a command's options and arguments; argv[0] is replaced by the command's name in messages. Ends the
 * process likewise. `arguments` may hold already what came before the command. */
void options_parse_command(const struct command *command, int argc, char **argv, struct arguments *arguments);

/* Frees what arguments_parse took. */
void arguments_done(struct arguments *arguments);

/* Splits text at commas and adds the parts, without blanks around them. How many there may be, the server says. */
void words_add(struct words *words, const char *text);

/* True for what looks like one of Gatehouse's tokens or secret keys. */
bool is_secret_argument(const char *text);

#endif
