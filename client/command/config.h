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

/* id, option, environment variable, another one (or NULL), key in the file (NULL: not from there) */
#define CONFIG_TABLE(X)                                                                                          \
    X(address, OPTION_ADDRESS, "GATEHOUSE_ADDRESS", "GATEHOUSE_GRPC", "address")                                 \
    X(ca_file, OPTION_CA_FILE, "GATEHOUSE_CA_FILE", NULL, "ca_file")                                             \
    X(cert_file, OPTION_CERT_FILE, "GATEHOUSE_CERT_FILE", NULL, "cert_file")                                     \
    X(key_file, OPTION_KEY_FILE, "GATEHOUSE_KEY_FILE", NULL, "key_file")                                         \
    X(server_name, OPTION_SERVER_NAME, "GATEHOUSE_SERVER_NAME", NULL, "server_name")                             \
    X(client_id, OPTION_CLIENT_ID, "GATEHOUSE_CLIENT_ID", NULL, "client_id")                                     \
    X(client_secret_file, OPTION_CLIENT_SECRET_FILE, "GATEHOUSE_CLIENT_SECRET_FILE", NULL, "client_secret_file") \
    X(client_secret, OPTION_END, "GATEHOUSE_CLIENT_SECRET", NULL, NULL)                                          \
    X(token_file, OPTION_TOKEN_FILE, "GATEHOUSE_TOKEN_FILE", NULL, "token_file")                                 \
    X(token, OPTION_END, "GATEHOUSE_TOKEN", NULL, NULL)                                                          \
    X(timeout, OPTION_TIMEOUT, "GATEHOUSE_TIMEOUT", NULL, "timeout")                                             \
    X(output, OPTION_OUTPUT, "GATEHOUSE_OUTPUT", NULL, "output")

struct config {
#define CONFIG_FIELD(id, ...) struct setting id;
    CONFIG_TABLE(CONFIG_FIELD)
#undef CONFIG_FIELD
};

/* Secrets are taken out of the environment. False: the file does not make sense; that was reported. */
[[nodiscard]] bool config_load(struct config *config, const struct arguments *arguments);
void config_done(struct config *config);

#endif
