/* SPDX-License-Identifier: Apache-2.0 */
/* Source addresses: the networks from which a credential may get a token, and its tokens may be used. */
#ifndef RULES_SOURCE_H
#define RULES_SOURCE_H

#include "base/address.h"

enum {
    SOURCE_NETWORKS_MAX = 64,
    SOURCE_TEXT_MAX = SOURCE_NETWORKS_MAX * NETWORK_TEXT_MAX, /* of all of them, with its NUL */
};

struct source_rule {
    struct network *networks; /* in order, none twice */
    int count;                /* 0: from anywhere */
    bool is_observed;         /* nothing is refused; what would be is told */
};

/* Where a use comes from. */
struct source {
    enum { SOURCE_NOT_TOLD, SOURCE_NO_ADDRESS, SOURCE_ADDRESS } kind; /* NO_ADDRESS: a socket file, say */
    struct address address;                                           /* of ADDRESS */
};

/* Of a peer that is known: an address, or text that is none. */
struct source source_of(const char *peer);

enum source_verdict { SOURCE_WITHIN, SOURCE_OBSERVED, SOURCE_REFUSED };

/* The one function that decides. Where the source is not told, nothing can be judged: SOURCE_WITHIN. What has no
 * address is within no network. ::/0 holds no IPv4 address, and 0.0.0.0/0 none of IPv6. */
enum source_verdict source_judge(const struct source_rule *rule, const struct source *source);

/* Puts them in order and leaves out what is there twice; gives how many are left. */
int source_tidy(struct network *networks, int count);

/* A copy of them, to be freed; NULL where there are none. */
struct network *source_copy(const struct network *networks, int count);

/* As one text, by which they are stored, and back. False: it is no such text. */
void source_format(const struct source_rule *rule, char text[static SOURCE_TEXT_MAX]);
[[nodiscard]] bool source_parse(const char *text, struct network networks[static SOURCE_NETWORKS_MAX], int *ret_count);

#endif
