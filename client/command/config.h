/* SPDX-License-Identifier: Apache-2.0 */
/* How to reach the server, and who is calling: from options, the environment or the configuration file, in this order.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>

#include "options.h"

/* The greater wins. */
enum source { SOURCE_NONE, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_OPTION };

struct setting {
    char *value; /* malloc'd; NULL: not set */
    enum source source;
};

/* id and key in the file, option, environment variable, another one (or "") */
#define CONFIG_TABLE(X) \
    X(address, OPTION_ADDRESS, "GATEHOUSE_ADDRESS", "GATEHOUSE_GRPC") \
    X(ca_file, OPTION_CA_FILE, "GATEHOUSE_CA_FILE", "") \
    X(cert_file, OPTION_CERT_FILE, "GATEHOUSE_CERT_FILE", "") \
    X(key_file, OPTION_KEY_FILE, "GATEHOUSE_KEY_FILE", "") \
    X(server_name, OPTION_SERVER_NAME, "GATEHOUSE_SERVER_NAME", "") \
    X(client_id, OPTION_CLIENT_ID, "GATEHOUSE_CLIENT_ID", "") \
    X(client_secret_file, OPTION_CLIENT_SECRET_FILE, "GATEHOUSE_CLIENT_SECRET_FILE", "") \
    X(token_file, OPTION_TOKEN_FILE, "GATEHOUSE_TOKEN_FILE", "") \
    X(timeout, OPTION_TIMEOUT, "GATEHOUSE_TIMEOUT", "") \
    X(output, OPTION_OUTPUT, "GATEHOUSE_OUTPUT", "")

struct config {
#define CONFIG_FIELD(id, ...) struct setting id;
    CONFIG_TABLE(CONFIG_FIELD)
#undef CONFIG_FIELD
    struct setting client_secret, token; /* from GATEHOUSE_CLIENT_SECRET and GATEHOUSE_TOKEN alone */
};

/* Where the context of this name is; with "", where all are. malloc'd; NULL: neither XDG_CONFIG_HOME nor HOME is set.
 */
char *config_context_path(const char *name);
/* The file that names the current context; likewise. */
char *config_current_path(void);
/* What it says; NULL: none is. malloc'd. */
char *config_current_context(void);
bool config_is_context_name(const char *name);

/* Adds what a file says to what is set already. False: it does not make sense; that was reported. */
[[nodiscard]] bool config_read_file(struct config *config, const char *path);

/* From options, the environment, a context, the configuration file. A context that is current and not there is an
 * error, unless is_lenient: then it is left out. Secrets are taken out of the environment. False: the file does not
 * make sense; that was reported. */
[[nodiscard]] bool config_gather(struct config *config, const struct arguments *arguments, bool is_lenient);
void config_done(struct config *config);

#endif
