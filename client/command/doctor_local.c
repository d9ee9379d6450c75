/* SPDX-License-Identifier: Apache-2.0 */
/* `gatehouse doctor`, as far as no call is needed. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dial.h"
#include "doctor.h"
#include "text.h"
#include "tls_probe.h"

enum { CONNECT_MS = 3000, PLAIN_MS = 1000 };

#define RENEW "Get a new one from whoever issues certificates here, and put it in the file's place."

static void check_secret_file(struct doctor *doctor, const char *check, const struct setting *setting)
{
    struct stat file;
    const char *path = setting->value;
    if (path == NULL || strcmp(path, "-") == 0)
        return;
    if (stat(path, &file) != 0 || access(path, R_OK) != 0)
        doctor_say(doctor, FINDING_FAIL, check, "Is the path right, and may you read it?", "%s: %s", path,
                   strerror(errno));
    else if (S_ISREG(file.st_mode) && file.st_size == 0)
        doctor_say(doctor, FINDING_FAIL, check, "Put the secret into it, in one line.", "%s is empty", path);
    else if ((file.st_mode & (S_IRGRP | S_IROTH)) != 0)
        doctor_say(doctor, FINDING_WARN, check, "chmod 600, unless they are meant to.", "%s can be read by others",
                   path);
    else
        doctor_say(doctor, FINDING_OK, check, NULL, "%s", path);
}

static void check_certificate_file(struct doctor *doctor, const char *check, const char *path)
{
    int64_t end = 0;
    if (path == NULL)
        return;
    if (tls_file_expiry(path, &end))
        doctor_say_end(doctor, check, path, end, RENEW);
    else
        doctor_say(doctor, FINDING_FAIL, check, "It must be PEM: \"-----BEGIN CERTIFICATE-----\".", "%s: %s", path,
                   access(path, R_OK) != 0 ? strerror(errno) : "it holds no certificate");
}

static void check_files(struct doctor *doctor)
{
    const struct config *config = &doctor->context->config;
    const char *cert = config->cert_file.value, *key = config->key_file.value;
    if (connection_caller(config) == CALLER_CLIENT && config->client_secret.source <= config->client_secret_file.source)
        check_secret_file(doctor, "secret key", &config->client_secret_file);
    if (connection_caller(config) == CALLER_TOKEN && config->token.source <= config->token_file.source)
        check_secret_file(doctor, "token", &config->token_file);
    check_certificate_file(doctor, "authority", config->ca_file.value);
    check_certificate_file(doctor, "certificate", cert);
    if ((cert == NULL) != (key == NULL))
        doctor_say(doctor, FINDING_FAIL, "certificate", "Give --cert-file and --key-file.",
                   "a certificate needs its key, and a key its certificate");
    else if (cert != NULL && !tls_files_fit(cert, key))
        doctor_say(doctor, FINDING_FAIL, "certificate", "Give the key that the certificate was made with.",
                   "%s is not the key of %s, or cannot be read", key, cert);
    if (cert != NULL && config->ca_file.value == NULL)
        doctor_say(doctor, FINDING_FAIL, "certificate", "Give --ca-file: who signed the server's.",
                   "a certificate is shown over TLS alone");
}

static void say_tls(struct doctor *doctor, const struct tls_probe *probe)
{
    const char *name = probe->name == NULL ? "" : probe->name;
    switch (probe->fault) {
    case TLS_FINE:
        doctor_say_end(doctor, "TLS", "the server's certificate", probe->expires,
                       "Whoever runs the server should renew it.");
        break;
    case TLS_NONE:
        doctor_say(doctor, FINDING_FAIL, "TLS", "Is this the gRPC port? If it serves without TLS, leave --ca-file out.",
                   "the server speaks no TLS there, or refuses this client");
        break;
    case TLS_UNREADABLE_CA:
        break; /* was said */
    case TLS_UNTRUSTED:
        doctor_say(doctor, FINDING_FAIL, "TLS", "Give the authority that signed it: --ca-file.",
                   "the server's certificate is not signed by %s, but by %s", probe->ca_file, probe->issuer);
        break;
    case TLS_EXPIRED:
        doctor_say_end(doctor, "TLS", "the server's certificate", probe->expires,
                       "Whoever runs the server should renew it; or this machine's clock is ahead.");
        break;
    case TLS_NOT_YET:
        doctor_say(doctor, FINDING_FAIL, "TLS", "Is this machine's clock right?",
                   "the server's certificate is not valid yet");
        break;
    case TLS_OTHER_NAME:
        doctor_say(doctor, FINDING_FAIL, "TLS", "Use one of these names as --address, or --server-name=NAME.",
                   "the server's certificate is for %s, not for %s", probe->names[0] == '\0' ? "no name" : probe->names,
                   name);
        break;
    case TLS_NO_GRPC:
        doctor_say(doctor, FINDING_FAIL, "TLS", "Is this the gRPC port, and not the one for HTTP?",
                   "the server agrees on no HTTP/2, which gRPC needs");
        break;
    }
    if (probe->wants_certificate && probe->fault != TLS_NONE)
        doctor_say(doctor, FINDING_WARN, "TLS", "If it refuses calls: --cert-file and --key-file.",
                   "the server asks for a certificate, and none is given");
}

/* Where no authority is given, calls go unencrypted: is there anything that takes them so? */
static void check_plain(struct doctor *doctor, struct dial *dial, int fd)
{
    struct tls_probe probe = {0};
    bool is_near = dial->is_unix || strncmp(dial->found, "127.", 4) == 0 || strcmp(dial->found, "::1") == 0;
    tls_probe_run(&probe, fd);
    if (probe.fault != TLS_NONE)
        doctor_say(doctor, FINDING_FAIL, "TLS", "Give the authority that signed its certificate: --ca-file.",
                   "the server speaks TLS (its certificate: %s, signed by %s), and this client does not", probe.names,
                   probe.issuer);
    else
        doctor_say(doctor, is_near ? FINDING_OK : FINDING_WARN, "TLS",
                   is_near ? NULL : "Others on the way can read tokens and secret keys: serve over TLS.",
                   "without: calls go unencrypted");
}

static void check_tls(struct doctor *doctor, struct dial *dial)
{
    const struct config *config = &doctor->context->config;
    bool is_tls = config->ca_file.value != NULL;
    int fd = dial_connect(dial, doctor->address, is_tls ? CONNECT_MS : PLAIN_MS);
    struct tls_probe probe = {.ca_file = config->ca_file.value,
                              .cert_file = config->cert_file.value,
                              .key_file = config->key_file.value,
                              .name = config->server_name.value != NULL ? config->server_name.value
                                      : dial->is_unix                   ? NULL
                                                                        : dial->host};
    if (fd < 0) {
        doctor_say(doctor, FINDING_FAIL, "connection",
                   "Is the server running, is this its gRPC port (grpc_address), and does a firewall let it through?",
                   "%s", dial->why);
        doctor->is_unreachable = true;
        return;
    }
    doctor_say(doctor, FINDING_OK, "connection", NULL, "%s answers", doctor->address);
    if (is_tls) {
        tls_probe_run(&probe, fd);
        say_tls(doctor, &probe);
    } else {
        check_plain(doctor, dial, fd);
    }
    close(fd);
}

static const char *const sources[] = {[SOURCE_NONE] = "the default",
                                      [SOURCE_FILE] = "the configuration file or the context",
                                      [SOURCE_ENVIRONMENT] = "the environment",
                                      [SOURCE_OPTION] = "--address"};

bool doctor_check_local(struct doctor *doctor)
{
    struct dial dial;
    const char *source = sources[doctor->context->config.address.source];
    check_files(doctor);
    if (!dial_read(&dial, doctor->address)) {
        doctor_say(doctor, FINDING_FAIL, "address", "Such as gatehouse.example:50051, or unix:/run/gatehouse.sock.",
                   "%s (from %s): %s", doctor->address, source, dial.why);
        doctor->is_unreachable = true;
    } else if (dial.is_other) {
        doctor_say(doctor, FINDING_SKIPPED, "address", NULL, "%s (from %s): gRPC alone reads this form",
                   doctor->address, source);
    } else if (!dial.is_unix && !dial_resolve(&dial)) {
        doctor_say(doctor, FINDING_FAIL, "address", "Is the name spelt right, and can this machine ask its DNS?",
                   "%s (from %s): %s", doctor->address, source, dial.why);
        doctor->is_unreachable = true;
    } else {
        doctor_say(doctor, FINDING_OK, "address", NULL, "%s (from %s)%s%s", doctor->address, source,
                   dial.is_unix ? "" : " is ", dial.is_unix ? "" : dial.found);
        check_tls(doctor, &dial);
    }
    return !doctor->has_failed;
}
