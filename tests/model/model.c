/* SPDX-License-Identifier: Apache-2.0 */
/* Explicit-state model of Watch: one store, one server (or two replicas), CACHES caches, a network that delays as it
 * likes. Breadth first, so that a trace is a shortest one. Time is in ticks; every time is kept as an age, which
 * saturates where no rule can tell the difference: the space is finite without a horizon. Usage: see check.py. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t message;
#ifndef CACHES
#define CACHES 1
#endif
/* Of cache k: connections 2k and, cut, but not yet known to be by the server, 2k + 1; FLIGHTS calls. */
enum { SERVERS = 2, CONNS = 2 * CACHES, FLIGHTS = 2, ALL_FLIGHTS = FLIGHTS * CACHES, UP = 2, DOWN = 3 };

/* Rules that are taken out */
/* clang-format off */
#define FLAGS(X) \
    X(REV_AFTER) X(NO_EVCHK) X(NO_WINDOW) X(NO_ID) X(NO_ASKED) X(ASKED_STREAM) \
    X(NO_REACHED) X(PONG_OVERTAKES) X(NO_CONFIRM) X(NO_UCONFIRM) X(RECEIPT) X(NO_RESUMEID) \
    X(RESUME_OFF1) X(NO_AHEAD) X(NO_HISTRESET) X(TRUST_KEPT) X(NO_SUSPEND) X(RESUME_TRUST) \
    X(JOIN) X(ACK_FIRST) X(EW_PINGAFTER) X(EW_FORGET_ENDED) X(EW_NO_START) X(EW_NO_LS) \
    X(EW_NO_CONFIRM) X(REVOKE_UNKNOWN) X(NO_LOOKID) X(EW_NO_LEASE) X(NO_KILL) X(EW_SLACK) \
    X(RESET_KEEPS) X(CONFIRM_UNARY) X(CONFIRM_NOPOS) X(CONFIRM_NOID) X(EW_SIMPLE) X(FIRST_LOOKS) \
    X(FIRST_CURRENT) X(EW_ONE) X(ID_REPEATS) X(LOOK_RECEIPT) X(LOOK_BLIND)
/* clang-format on */
enum {
#define X(f) F_##f,
    FLAGS(X)
#undef X
        F_COUNT
};
static const char *flag_names[] = {
#define X(f) #f,
    FLAGS(X)
#undef X
};
static u8 has[F_COUNT];
#define ON(f) has[F_##f]

/* Bounds */
static int replicas, LC = 2, LS, R = 3, commits = 2, failovers, trims, cuts = 1, resets, restarts, flights = 1, drift,
                     everywhere, issue_lost, xmax = 1, merged, server_ends, slow_looks;
static long max_states = 30000000;

typedef struct __attribute__((packed)) {
    uint16_t log; /* the store: changes 1..len, three bits each: ends the token, history */
    u8 len, trim, hist, exists;
    u8 xage, xew, xr, phase, kind; /* the acknowledged end of the token; phase of the change under way */
    u8 ew, ewage, ewh;             /* everywhere: waited for; since the commit (replicas) */
    u8 commits, failovers, trims, cuts, resets, restarts, skip, xs;
    struct __attribute__((packed)) {
        uint16_t alog, looklog;
        u8 alen, cage, upage, memage;
        /* A look that takes time: what it has read, and of what it went out. */
        u8 looking, looklen, looktrim, lookage, sincelen, sincehist;
    } server[SERVERS];
    struct __attribute__((packed)) {
        u8 open, zombie, srv, seen, dead, cursor, reset, lping, obeyed, pp, pt, pa, fresh, upn, dnn;
        message up[UP], dn[DOWN];
    } conn[CONNS];
    struct __attribute__((packed)) cache {
        uint16_t log_c;
        u8 st, pos, start, hist_c, tage, susp, none; /* hist_c: of the change at `start` */
        u8 entry, erev, ehist, ewait;
        struct {
            u8 st, srv, age, rev, hist;
        } conf;
    } cache[CACHES];
    struct {
        u8 st, srv, rev, hist, act, gen, late, age;
    } flight[ALL_FLIGHTS];
} S;

#define KIND(log, r) ((log) >> (3 * ((r) - 1)) & 1)
#define HIST(log, r) ((r) == 0 ? 0 : (log) >> (3 * ((r) - 1) + 1) & 3)
static uint16_t with(uint16_t log, int r, int kind, int hist)
{
    log &= (uint16_t)~(7 << (3 * (r - 1)));
    return (uint16_t)(log | kind << (3 * (r - 1)) | hist << (3 * (r - 1) + 1));
}
static uint16_t cut_to(uint16_t log, int len)
{
    return len == 0 ? 0 : log & (uint16_t)((1 << (3 * len)) - 1);
}
static int ends(uint16_t log, int from, int to)
{
    for (int r = from + 1; r <= to; r++)
        if (KIND(log, r))
            return 1;
    return 0;
}

enum { EV = 1, PONG, RESUMED, RESET };
enum { FIRST = 1, PING };
#define MSG(type, payload) ((message)((type) << 8 | (payload)))
#define TYPE(m) ((m) >> 8)
#define LOAD(m) ((u8)(m))
/* PING: age (2 bits), position (3). PONG: age. EV: kind, hist (2). RESET: rev (3), hist. RESUMED: age. FIRST: rev,
 * hist, none (1), age. */

static int BOUND; /* LS + LC */

/* Search */
typedef struct {
    uint32_t parent;
    u8 action;
    uint16_t arg;
} Node;
static S *states;
static Node *nodes;
static uint32_t *table, count, table_mask, current;
static long transitions;
static u8 action_used[64];
static int hit_seen, hit_resumed_seen, ew_seen;

static uint64_t hash(const S *s)
{
    const u8 *p = (const u8 *)s;
    uint64_t h = 1469598103934665603ull, w;
    size_t i = 0;
    for (; i + 8 <= sizeof *s; i += 8) {
        memcpy(&w, p + i, 8);
        h = (h ^ w) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 29;
    }
    for (; i < sizeof *s; i++)
        h = (h ^ p[i]) * 1099511628211ull;
    return h ^ h >> 32;
}

static const char *violated;
static u8 last_action;
static uint16_t last_arg;
static S bad;

static void canonical(S *s);

static void add(S *s, u8 action, uint16_t arg)
{
    canonical(s);
    transitions++;
    action_used[action] = 1;
    uint32_t i = (uint32_t)hash(s) & table_mask;
    for (; table[i] != 0; i = (i + 1) & table_mask)
        if (memcmp(&states[table[i] - 1], s, sizeof *s) == 0)
            return;
    if (count >= max_states) {
        printf("LIMIT states=%u\n", count);
        exit(3);
    }
    states[count] = *s;
    nodes[count] = (Node){current, action, arg};
    table[i] = ++count;
}

static void violate(const S *s, const char *what, u8 action, uint16_t arg)
{
    if (violated != NULL)
        return;
    violated = what;
    bad = *s;
    last_action = action;
    last_arg = arg;
}

enum {
    A_TICK,
    A_COMMIT_X,
    A_COMMIT_Y,
    A_APPLY,
    A_ACK,
    A_EVERYWHERE,
    A_EW_ACK,
    A_FAILOVER,
    A_TRIM,
    A_LOOK,
    A_RESTART,
    A_CONNECT,
    A_CUT,
    A_END,
    A_FIRST,
    A_PING_IN,
    A_PONG_OUT,
    A_EVENT_OUT,
    A_RESET_OUT,
    A_PING,
    A_RECV,
    A_ASK,
    A_JOIN,
    A_REV,
    A_LOOKUP,
    A_ANSWER,
    A_HIT,
    A_SPURIOUS,
    A_TICK_SKIP,
    A_LOSE,
    A_CONFIRM,
    A_CONF_IN,
    A_CONF_OUT,
    A_LOOK_BEGIN,
    A_LOOK_END
};
static const char *action_names[] = {"time: one tick",
                                     "store: commit, the token ends",
                                     "store: commit, another change",
                                     "server: applies the change, puts it into the ring",
                                     "server: acknowledges the change",
                                     "store: commit, the token ends, asked for everywhere",
                                     "server: acknowledges EVERYWHERE",
                                     "store: FAILOVER/restore, length now",
                                     "store: log trimmed",
                                     "replica: looks at the log",
                                     "server: restarts",
                                     "cache: connects to",
                                     "cache: connection is cut",
                                     "server: its side of the stream ends",
                                     "server: first request processed on stream",
                                     "server: ping comes in on stream",
                                     "server: pong sent on stream",
                                     "server: event sent on stream",
                                     "server: reset sent on stream",
                                     "cache: sends a ping",
                                     "cache: receives",
                                     "cache: miss, asks server",
                                     "cache: a later caller joins the call under way",
                                     "server: reads the revision for the call",
                                     "server: looks the token up for the call",
                                     "cache: answer of the call arrives",
                                     "cache: HIT, answers ACTIVE",
                                     "server: resets the stream (ring overrun)",
                                     "time: one tick, the cache's clock stands",
                                     "network: the call is lost",
                                     "cache: sends Confirm to",
                                     "server: Confirm comes in",
                                     "cache: Confirm's answer arrives",
                                     "replica: a look at the log has read it",
                                     "replica: what a look has read is taken in"};

/* Caches are alike: what differs only by which is which is one state. (In a trace their numbers may change places.) */
static void sort_caches(S *s)
{
    struct cache *a = &s->cache[0], *b = &s->cache[CACHES - 1], cache = *a;
    int order = memcmp(a, b, sizeof *a);
    if (order == 0)
        order = memcmp(&s->conn[0], &s->conn[CONNS - 2], 2 * sizeof s->conn[0]);
    if (order == 0)
        order = memcmp(&s->flight[0], &s->flight[ALL_FLIGHTS - FLIGHTS], FLIGHTS * sizeof s->flight[0]);
    if (order <= 0)
        return;
    *a = *b;
    *b = cache;
    for (int c = 0; c < 2; c++) {
        S before = *s;
        s->conn[c] = before.conn[CONNS - 2 + c];
        s->conn[CONNS - 2 + c] = before.conn[c];
    }
    for (int f = 0; f < FLIGHTS; f++) {
        S before = *s;
        s->flight[f] = before.flight[ALL_FLIGHTS - FLIGHTS + f];
        s->flight[ALL_FLIGHTS - FLIGHTS + f] = before.flight[f];
    }
}

static void canonical(S *s)
{
    for (int c = 0; c < CONNS; c++)
        if (!s->conn[c].open)
            memset(&s->conn[c], 0, sizeof s->conn[c]);
        else {
            if (!s->conn[c].pp)
                s->conn[c].pt = s->conn[c].pa = 0;
            for (int i = s->conn[c].upn; i < UP; i++)
                s->conn[c].up[i] = 0;
            for (int i = s->conn[c].dnn; i < DOWN; i++)
                s->conn[c].dn[i] = 0;
        }
    for (int f = 0; f < ALL_FLIGHTS; f++)
        if (s->flight[f].st == 0)
            memset(&s->flight[f], 0, sizeof s->flight[f]);
    for (struct cache *k = s->cache; k < s->cache + CACHES; k++) {
        if (k->conf.st == 0)
            memset(&k->conf, 0, sizeof k->conf);
        if (k->entry == 0)
            k->erev = k->ehist = k->ewait = 0;
        if (k->entry == 1)
            k->ewait = 0;
    }
    for (int i = 0; i < SERVERS; i++)
        if (!s->server[i].looking)
            s->server[i].looklog = s->server[i].looklen = s->server[i].looktrim = s->server[i].lookage =
                s->server[i].sincelen = s->server[i].sincehist = 0;
    if (CACHES > 1)
        sort_caches(s);
}

static int server_count(void)
{
    return replicas ? 2 : 1;
}

static int can_hit(const struct cache *k)
{
    if (k->tage >= LC || k->susp)
        return 0;
    return k->entry == 1 || (k->entry == 2 && ON(NO_REACHED));
}

/* The promise is due: whoever asks from now on must not be told active. */
static int is_due(const S *s)
{
    return s->xage != 255 && (s->xew || s->xage >= BOUND);
}

static void deliver(S *p, int k, message m);

static void push(S *s, int c, message m)
{
    if (merged && c % 2 == 0)
        deliver(s, c / 2, m);
    else if (!s->conn[c].zombie)
        s->conn[c].dn[s->conn[c].dnn++] = m;
}
static int room(const S *s, int c)
{
    return s->conn[c].zombie || s->conn[c].dnn < DOWN;
}

static void ack(S *s)
{
    s->xage = 0;
    s->xew = 0;
}

static void older(u8 *age, int max)
{
    if (*age < max)
        ++*age;
}

static message older_message(message m, int up)
{
    if ((up && TYPE(m) == PING) || (!up && (TYPE(m) == PONG || TYPE(m) == RESUMED)))
        return (LOAD(m) & 3) < LC ? (message)(m + 1) : m;
    if (up && TYPE(m) == FIRST && ON(RESUME_TRUST))
        return (LOAD(m) >> 6) < LC ? (message)(m + 64) : m;
    return m;
}

static void tick(S s, int skip)
{
    int ewl = (replicas && !ON(EW_NO_LS) ? LS - 1 : 0) + LC + (drift && !ON(EW_SLACK));
    /* the server's clock */
    if (s.xage != 255)
        older(&s.xage, BOUND + (drift ? 1 : 0));
    if (s.ew)
        older(&s.ewage, ewl);
    for (int i = 0; i < server_count(); i++) {
        if (replicas) {
            older(&s.server[i].cage, LS);
            if (s.server[i].looking)
                older(&s.server[i].lookage, LS);
        }
        if (everywhere) {
            older(&s.server[i].upage, ewl);
            older(&s.server[i].memage, ewl);
        }
    }
    for (int c = 0; c < CONNS; c++)
        if (s.conn[c].open && everywhere)
            older(&s.conn[c].lping, ewl);
    /* the cache's: when a ping was sent, by its own clock */
    if (!skip) {
        for (struct cache *k = s.cache; k < s.cache + CACHES; k++) {
            older(&k->tage, LC);
            if (k->entry == 2)
                older(&k->ewait, LC);
            if (k->entry == 2 && k->ewait >= LC)
                k->entry = 0;
            if (k->conf.st)
                older(&k->conf.age, LC);
        }
        for (int c = 0; c < CONNS; c++) {
            if (!s.conn[c].open)
                continue;
            for (int i = 0; i < s.conn[c].upn; i++)
                s.conn[c].up[i] = older_message(s.conn[c].up[i], 1);
            for (int i = 0; i < s.conn[c].dnn; i++)
                s.conn[c].dn[i] = older_message(s.conn[c].dn[i], 0);
            if (s.conn[c].pp)
                older(&s.conn[c].pa, LC);
        }
    }
    if (drift) {
        if (skip)
            s.skip = (u8)drift;
        else if (s.skip > 0)
            s.skip--;
    }
    add(&s, skip ? A_TICK_SKIP : A_TICK, 0);
}

static void do_apply(S *s) /* one server: what is committed is applied, into the ring */
{
    s->server[0].alen = s->len;
    s->server[0].alog = s->log;
}

static void commit(S *s, int kind)
{
    s->len++;
    s->log = with(s->log, s->len, kind, s->hist);
    s->commits--;
}

static void changes(const S *old)
{
    S s;
    int can = old->commits > 0 && old->len < R && old->phase == 0 && !old->ew;
    if (can) {
        s = *old;
        commit(&s, 0);
        if (!replicas) {
            s.phase = 1;
            s.kind = 0;
        }
        add(&s, A_COMMIT_Y, 0);
    }
    if (old->commits > 0 && old->phase == 0 && !old->ew && old->xage == 255 && old->xs < xmax &&
        !ends(old->log, 0, old->len)) {
        if (!old->exists && ON(REVOKE_UNKNOWN)) { /* acknowledged: there is nothing to revoke */
            s = *old;
            s.commits--;
            s.xs++;
            ack(&s);
            add(&s, A_COMMIT_X, 1);
        } else if (old->len < R) {
            s = *old;
            s.xs++;
            commit(&s, 1);
            if (replicas)
                ack(&s);
            else {
                s.phase = 1;
                s.kind = 1;
            }
            s.xr = s.len;
            add(&s, A_COMMIT_X, 0);
            if (everywhere) {
                s = *old;
                s.xs++;
                commit(&s, 1);
                s.xr = s.len;
                s.ew = 1;
                s.ewage = 0;
                s.ewh = s.hist;
                if (!replicas) {
                    do_apply(&s);
                    for (int c = 0; c < CONNS; c++)
                        s.conn[c].obeyed = 0;
                }
                add(&s, A_EVERYWHERE, 0);
            }
        }
    }
    if (old->phase == 1) {
        s = *old;
        do_apply(&s);
        s.phase = old->kind == 2 ? 0 : 2; /* 2: acknowledged already */
        if (s.phase == 0)
            s.kind = 0;
        add(&s, A_APPLY, 0);
    }
    if (old->phase == 2 || (old->phase == 1 && ON(ACK_FIRST) && old->kind < 2)) {
        s = *old;
        if (old->kind == 1)
            ack(&s);
        s.kind = old->phase == 1 ? 2 : 0;
        s.phase = old->phase == 1 ? 1 : 0;
        add(&s, A_ACK, 0);
    }
    if (old->ew) {
        int ok, ewl = LC + (drift && !ON(EW_SLACK));
        if (replicas) {
            ok = old->ewage >= ewl + (ON(EW_NO_LS) ? 0 : LS - 1);
            if (!ON(EW_NO_CONFIRM) &&
                !(old->xr <= old->len && KIND(old->log, old->xr) && HIST(old->log, old->xr) == old->ewh))
                ok = 0;
        } else if (ON(EW_SIMPLE)) { /* all that are known have it, or the longest lease has passed since it came into
                                       the ring */
            ok = old->server[0].upage >= ewl && old->server[0].memage >= ewl;
            for (int c = 0; c < CONNS; c++)
                if (old->conn[c].open && old->conn[c].seen && !old->conn[c].dead && !old->conn[c].obeyed &&
                    !old->conn[c].fresh)
                    ok = 0;
            ok = ok || old->ewage >= ewl;
        } else {
            ok = (ON(EW_NO_START) || old->server[0].upage >= ewl) &&
                 (ON(EW_FORGET_ENDED) || old->server[0].memage >= ewl);
            for (int c = 0; c < CONNS; c++)
                if (old->conn[c].open && old->conn[c].seen && !old->conn[c].dead && !old->conn[c].obeyed &&
                    (old->conn[c].lping < ewl) && !ON(EW_NO_LEASE))
                    ok = 0;
        }
        for (int c = 0; c < CONNS && ON(EW_ONE); c++) /* whoever is first */
            ok |= old->conn[c].open && old->conn[c].obeyed;
        if (ok) {
            s = *old;
            s.ew = s.ewage = s.ewh = 0;
            for (int c = 0; c < CONNS; c++)
                s.conn[c].fresh = 0;
            s.xage = 0;
            s.xew = 1;
            ew_seen = 1;
            add(&s, A_EW_ACK, 0);
        }
    }
    if (old->failovers > 0) { /* replicas: the store's; one server: a backup is restored, the process starts again */
        for (int len = 0; len <= old->len; len++) {
            if (len == old->len && !issue_lost)
                continue;
            if (len < old->trim)
                continue;
            s = *old;
            s.failovers--;
            s.len = (u8)len;
            s.log = cut_to(s.log, len);
            s.hist++;
            if (ON(ID_REPEATS))
                s.hist &= 1;
            if (issue_lost)
                s.exists = 0;
            if (!ends(s.log, 0, len)) {
                s.xage = 255;
                s.xew = 0;
                for (int f = 0; f < ALL_FLIGHTS; f++)
                    s.flight[f].late = 0;
                if (!s.ew)
                    s.xr = 0;
                s.xs = 0;
            }
            if (!replicas) {
                s.phase = s.kind = 0;
                s.ew = s.ewage = s.ewh = 0;
                do_apply(&s);
                s.server[0].upage = 0;
                s.server[0].memage = 255;
                for (int c = 0; c < CONNS; c++)
                    if (s.conn[c].open) {
                        s.conn[c].dead = 1;
                        s.conn[c].upn = s.conn[c].pp = s.conn[c].seen = 0;
                        if (s.conn[c].zombie)
                            s.conn[c].open = 0;
                    }
                for (int f = 0; f < ALL_FLIGHTS; f++)
                    if (s.flight[f].st > 0 && s.flight[f].st < 4)
                        s.flight[f].st = 0;
            }
            add(&s, A_FAILOVER, (u8)len);
        }
    }
    if (old->trims > 0 && old->trim < old->len) {
        s = *old;
        s.trims--;
        s.trim++;
        add(&s, A_TRIM, s.trim);
    }
    if (old->restarts > 0 && old->phase == 0) {
        for (int i = 0; i < server_count(); i++) {
            s = *old;
            s.restarts--;
            if (s.ew && !replicas)
                continue; /* the call is cut: nobody is told anything */
            s.server[i].alen = s.len;
            s.server[i].alog = s.log;
            s.server[i].looking = 0;
            s.server[i].cage = 0;
            s.server[i].upage = 0;
            s.server[i].memage = 255;
            for (int c = 0; c < CONNS; c++)
                if (s.conn[c].open && s.conn[c].srv == i) {
                    s.conn[c].dead = 1;
                    s.conn[c].upn = s.conn[c].pp = s.conn[c].seen = 0;
                    if (s.conn[c].zombie)
                        s.conn[c].open = 0;
                }
            for (int f = 0; f < ALL_FLIGHTS; f++)
                if (s.flight[f].srv == i && s.flight[f].st > 0 && s.flight[f].st < 4)
                    s.flight[f].st = 0;
            add(&s, A_RESTART, (u8)i);
        }
    }
}

/* A replica takes in what it has read in the log, asked so long ago. */
static void take_in(S *s, int i, uint16_t read, u8 len, u8 trim, u8 age)
{
    u8 alen = s->server[i].alen;
    int other = alen > len || HIST(s->server[i].alog, alen) != HIST(read, alen);
    if (ON(NO_LOOKID))
        other = 0;
    if (alen < trim)
        other = 1;                 /* a gap */
    if (ON(NO_LOOKID) && !other) { /* as numbers only: keeps what it has, takes what is new */
        uint16_t log = s->server[i].alog;
        for (int r = alen + 1; r <= len; r++) {
            log = with(log, r, KIND(read, r), HIST(read, r));
            s->server[i].alen = (u8)r;
        }
        s->server[i].alog = log;
    } else {
        s->server[i].alog = read;
        s->server[i].alen = len;
    }
    if (age < s->server[i].cage)
        s->server[i].cage = age;
    if (other)
        for (int c = 0; c < CONNS; c++)
            if (s->conn[c].open && s->conn[c].srv == i && s->conn[c].seen) {
                if (ON(NO_HISTRESET)) {
                    if (s->conn[c].cursor > len)
                        s->conn[c].cursor = len;
                    if (s->conn[c].pp && s->conn[c].pt > len)
                        s->conn[c].pt = len;
                } else {
                    s->conn[c].reset = 1;
                }
            }
}

static void look(S *s, int i) /* in no time */
{
    take_in(s, i, s->log, s->len, s->trim, 0);
}

static void begin_look(S *s, int i)
{
    s->server[i].looking = 1;
    s->server[i].looklog = s->log;
    s->server[i].looklen = s->len;
    s->server[i].looktrim = s->trim;
    s->server[i].lookage = 0;
    s->server[i].sincelen = s->server[i].alen;
    s->server[i].sincehist = HIST(s->server[i].alog, s->server[i].alen);
}

/* What was read says nothing of what another look has taken in since. */
static void end_look(S *s, int i)
{
    int is_right = s->server[i].alen == s->server[i].sincelen &&
                   HIST(s->server[i].alog, s->server[i].alen) == s->server[i].sincehist;
    s->server[i].looking = 0;
    if (is_right || ON(LOOK_BLIND))
        take_in(s, i, s->server[i].looklog, s->server[i].looklen, s->server[i].looktrim,
                ON(LOOK_RECEIPT) ? 0 : s->server[i].lookage);
}

static int current_replica(const S *s, int i);

static void first(S *p, int c)
{
    int i = p->conn[c].srv;
    u8 load = LOAD(p->conn[c].up[0]);
    int r = load & 7, h = load >> 3 & 3, none = load >> 5 & 1;
    p->conn[c].upn--;
    p->conn[c].up[0] = p->conn[c].up[1];
    if (replicas && (ON(FIRST_LOOKS) || (ON(FIRST_CURRENT) && !current_replica(p, i)) ||
                     (!none && !ON(NO_AHEAD) && r > p->server[i].alen)))
        look(p, i);
    int alen = p->server[i].alen;
    int reaches = r >= p->trim + (ON(RESUME_OFF1) ? 0 : 1) || r == alen || (r == 0 && p->trim == 0);
    int same = r > alen ? ON(NO_AHEAD) : (HIST(p->server[i].alog, r) == h || ON(NO_RESUMEID));
    if (ON(RESUME_OFF1) && r == p->trim)
        same = 1; /* its row is gone: cannot be compared */
    p->conn[c].seen = 1;
    p->conn[c].lping = 255;
    p->conn[c].obeyed = 0;
    p->conn[c].fresh = p->ew && ON(EW_SIMPLE);
    if (!none && reaches && same) {
        p->conn[c].cursor = (u8)(r > alen ? alen : r);
        push(p, c, MSG(RESUMED, load >> 6));
    } else {
        p->conn[c].cursor = (u8)alen;
        push(p, c, MSG(RESET, alen | HIST(p->server[i].alog, alen) << 3));
    }
}

static int current_replica(const S *s, int i)
{
    return !replicas || s->server[i].cage < LS;
}

static void ping_in(S *p, int c)
{
    int i = p->conn[c].srv;
    u8 load = LOAD(p->conn[c].up[0]);
    p->conn[c].upn--;
    p->conn[c].up[0] = p->conn[c].up[1];
    p->conn[c].pp = 1;
    p->conn[c].pa = load & 3;
    p->conn[c].pt = p->server[i].alen;
    if (everywhere && !replicas) {
        if (p->ew && (ON(EW_PINGAFTER) ? p->conn[c].cursor >= p->xr && !p->conn[c].reset : (load >> 2) >= p->xr))
            p->conn[c].obeyed = 1;
        if (!p->ew) /* pongs to those that come later stand behind the change */
            p->conn[c].lping = 0;
    }
}

static int read_revision(S *p, int f)
{
    int i = p->flight[f].srv;
    if (!current_replica(p, i) && !ON(NO_UCONFIRM))
        return 0;
    if (ON(REV_AFTER)) {
        p->flight[f].act = !ends(p->server[i].alog, 0, p->server[i].alen) && (replicas || p->exists);
    } else {
        p->flight[f].rev = p->server[i].alen;
        p->flight[f].hist = HIST(p->server[i].alog, p->server[i].alen);
    }
    p->flight[f].st = 2;
    return 1;
}

static void servers(const S *old)
{
    S s;
    for (int i = 0; replicas && i < server_count(); i++) {
        s = *old;
        look(&s, i);
        add(&s, A_LOOK, (u8)i);
        if (!slow_looks)
            continue;
        s = *old;
        (s.server[i].looking ? end_look : begin_look)(&s, i);
        add(&s, old->server[i].looking ? A_LOOK_END : A_LOOK_BEGIN, (u8)i);
    }
    for (int c = 0; c < CONNS; c++) {
        if (!old->conn[c].open || old->conn[c].dead)
            continue;
        int i = old->conn[c].srv;
        if (!old->conn[c].zombie && old->conn[c].seen &&
            server_ends) { /* the server ends it, or a proxy: the cache does not know */
            s = *old;
            if (!s.conn[c].obeyed && s.conn[c].lping < s.server[i].memage)
                s.server[i].memage = s.conn[c].lping;
            s.conn[c].dead = 1;
            s.conn[c].upn = s.conn[c].pp = s.conn[c].seen = s.conn[c].reset = s.conn[c].obeyed = 0;
            s.conn[c].lping = 255;
            add(&s, A_END, (u8)c);
        }
        if (old->conn[c].zombie) { /* the server sees its end */
            s = *old;
            if (s.conn[c].seen && !s.conn[c].obeyed && s.conn[c].lping < s.server[i].memage)
                s.server[i].memage = s.conn[c].lping;
            s.conn[c].open = 0;
            add(&s, A_END, (u8)c);
        }
        if (old->conn[c].upn > 0 && TYPE(old->conn[c].up[0]) == FIRST && room(old, c)) {
            s = *old;
            first(&s, c);
            add(&s, A_FIRST, (u8)c);
        }
        if (!old->conn[c].seen)
            continue;
        if (old->conn[c].upn > 0 && TYPE(old->conn[c].up[0]) == PING && !old->conn[c].pp &&
            (current_replica(old, i) || ON(NO_CONFIRM))) {
            s = *old;
            ping_in(&s, c);
            add(&s, A_PING_IN, (u8)c);
        }
        if (old->conn[c].pp && room(old, c) &&
            ((old->conn[c].cursor >= old->conn[c].pt && !old->conn[c].reset) || ON(PONG_OVERTAKES))) {
            s = *old;
            s.conn[c].pp = 0;
            push(&s, c, MSG(PONG, s.conn[c].pa));
            add(&s, A_PONG_OUT, (u8)c);
        }
        int cursor = old->conn[c].cursor;
        if (old->conn[c].reset || (cursor < old->server[i].alen && cursor < old->trim)) {
            if (room(old, c)) {
                s = *old;
                int alen = s.server[i].alen;
                s.conn[c].reset = 0;
                s.conn[c].cursor = (u8)alen;
                if (s.conn[c].pp && s.conn[c].pt > alen)
                    s.conn[c].pt = (u8)alen;
                push(&s, c, MSG(RESET, alen | HIST(s.server[i].alog, alen) << 3));
                add(&s, A_RESET_OUT, (u8)c);
            }
        } else if (cursor < old->server[i].alen && room(old, c)) {
            s = *old;
            int r = ++s.conn[c].cursor;
            push(&s, c, MSG(EV, KIND(s.server[i].alog, r) | HIST(s.server[i].alog, r) << 1));
            add(&s, A_EVENT_OUT, (u8)c);
            if (old->resets > 0) {
                s = *old;
                s.resets--;
                s.conn[c].reset = 1;
                add(&s, A_SPURIOUS, (u8)c);
            }
        }
    }
    for (int f = 0; f < ALL_FLIGHTS; f++) {
        int i = old->flight[f].srv, st = old->flight[f].st;
        s = *old;
        if (st == 1 && read_revision(&s, f))
            add(&s, ON(REV_AFTER) ? A_LOOKUP : A_REV, (u8)f);
        if (st == 2) {
            s = *old;
            if (ON(REV_AFTER)) {
                s.flight[f].rev = s.server[i].alen;
                s.flight[f].hist = HIST(s.server[i].alog, s.server[i].alen);
            } else {
                s.flight[f].act = !ends(s.server[i].alog, 0, s.server[i].alen) && (replicas || s.exists);
            }
            s.flight[f].st = s.flight[f].act ? 4 : 0; /* an inactive answer changes nothing here */
            add(&s, ON(REV_AFTER) ? A_REV : A_LOOKUP, (u8)f);
        }
    }
    for (int k = 0; k < CACHES; k++)
        if (old->cache[k].conf.st == 1 && current_replica(old, old->cache[k].conf.srv)) {
            s = *old;
            struct cache *at = &s.cache[k];
            at->conf.st = 2;
            at->conf.rev = s.server[at->conf.srv].alen;
            at->conf.hist = HIST(s.server[at->conf.srv].alog, at->conf.rev);
            add(&s, A_CONF_IN, (uint16_t)(at->conf.srv | k << 15));
        }
}

static int hist_at(const struct cache *k, int r)
{
    return r == k->start ? k->hist_c : HIST(k->log_c, r);
}

/* Confirm by a call of its own: trusted once the stream has reached what it says */
static void settle_confirm(struct cache *k)
{
    if (k->conf.st != 3)
        return;
    int ok = ON(CONFIRM_NOPOS) ||
             (k->conf.rev <= k->pos &&
              (ON(CONFIRM_NOID) || (k->conf.rev >= k->start && hist_at(k, k->conf.rev) == k->conf.hist)));
    if (ok) {
        if (k->conf.age < k->tage)
            k->tage = k->conf.age;
        k->conf.st = 0;
    } else if (k->conf.rev < k->start || k->conf.rev <= k->pos) {
        k->conf.st = 0;
    }
}

static void reached(struct cache *k)
{
    if (k->entry == 2 && k->erev <= k->pos) {
        k->entry = 1;
        if (!ON(NO_ID) && (k->erev < k->start || hist_at(k, k->erev) != k->ehist))
            k->entry = 0;
    }
    settle_confirm(k);
}

static void deliver(S *p, int number, message m)
{
    struct cache *k = &p->cache[number];
    u8 load = LOAD(m);
    switch (TYPE(m)) {
    case EV:
        k->pos++;
        k->log_c = with(k->log_c, k->pos, load & 1, load >> 1 & 3);
        if ((load & 1) && k->entry != 0 && !ON(NO_KILL) && (k->pos > k->erev || !ON(NO_ID)))
            k->entry = 0;
        reached(k);
        break;
    case PONG:
        if (ON(RECEIPT))
            k->tage = 0;
        else if ((load & 3) < k->tage)
            k->tage = load & 3;
        break;
    case RESUMED:
        k->st = 2;
        k->susp = 0;
        if (k->entry != 0)
            k->none = 2; /* for sanity: an entry lived through it */
        if (ON(RESUME_TRUST))
            k->tage = load & 3;
        break;
    case RESET:
        k->st = 2;
        k->susp = 0;
        k->none = 0;
        k->pos = k->start = load & 7;
        k->log_c = with(0, k->pos == 0 ? 1 : k->pos, 0, k->pos == 0 ? 0 : load >> 3 & 3);
        k->hist_c = load >> 3 & 3;
        if (!ON(RESET_KEEPS))
            k->entry = 0;
        else if (k->entry == 2)
            reached(k);
        for (int f = 0; f < FLIGHTS; f++)
            p->flight[number * FLIGHTS + f].gen = 0;
        settle_confirm(k);
        break;
    }
}

static void connect_cache(const S *old, int number)
{
    int c = number * 2;
    if (old->cache[number].st != 0 || old->conn[c].open)
        return;
    for (int i = 0; i < server_count(); i++) {
        S s = *old;
        struct cache *k = &s.cache[number];
        k->st = 1;
        memset(&s.conn[c], 0, sizeof s.conn[c]);
        s.conn[c].open = 1;
        s.conn[c].srv = (u8)i;
        s.conn[c].lping = 255;
        s.conn[c].upn = 1;
        s.conn[c].up[0] =
            MSG(FIRST, k->none == 1 ? 32 : k->pos | (k->pos == k->start ? k->hist_c : HIST(k->log_c, k->pos)) << 3);
        if (merged)
            first(&s, c);
        add(&s, A_CONNECT, (uint16_t)(i | number << 15));
    }
}

static void cut(const S *old, int number)
{
    int c = number * 2;
    if (old->cache[number].st == 0 || old->cuts == 0 || old->conn[c + 1].open)
        return;
    S s = *old;
    struct cache *k = &s.cache[number];
    s.cuts--;
    k->st = 0;
    if (!ON(TRUST_KEPT))
        k->tage = (u8)LC;
    if (!ON(NO_SUSPEND))
        k->susp = 1;
    if (s.conn[c].dead || !everywhere) {
        s.conn[c].open = 0;
    } else {
        s.conn[c + 1] = s.conn[c];
        s.conn[c + 1].zombie = 1;
        s.conn[c + 1].dnn = 0;
        s.conn[c].open = 0;
    }
    if (k->conf.st) /* asked for by the stream that is gone */
        k->conf.st = 0;
    for (int f = 0; ON(ASKED_STREAM) && f < FLIGHTS; f++)
        s.flight[number * FLIGHTS + f].gen = 0;
    add(&s, A_CUT, (uint16_t)(number << 15));
}

static void ping(const S *old, int number)
{
    int c = number * 2;
    const struct cache *before = &old->cache[number];
    if (before->st == 0 || ON(CONFIRM_UNARY) || old->conn[c].dead || old->conn[c].upn == UP)
        return;
    int outstanding = old->conn[c].pp;
    for (int i = 0; i < old->conn[c].upn; i++)
        outstanding += TYPE(old->conn[c].up[i]) == PING;
    for (int i = 0; i < old->conn[c].dnn; i++)
        outstanding += TYPE(old->conn[c].dn[i]) == PONG;
    if (outstanding >= (merged ? 1 : 2) || (merged && !current_replica(old, old->conn[c].srv) && !ON(NO_CONFIRM)))
        return;
    S s = *old;
    s.conn[c].up[s.conn[c].upn++] = MSG(PING, (before->st == 2 ? before->pos : 0) << 2);
    if (merged)
        ping_in(&s, c);
    add(&s, A_PING, (uint16_t)(number << 15));
}

static void confirm(const S *old, int number)
{
    const struct cache *before = &old->cache[number];
    S s;
    if (before->st == 2 && ON(CONFIRM_UNARY) && before->conf.st == 0)
        for (int i = 0; i < server_count(); i++) {
            s = *old;
            s.cache[number].conf.st = 1;
            s.cache[number].conf.srv = (u8)i;
            s.cache[number].conf.age = 0;
            add(&s, A_CONFIRM, (uint16_t)(i | number << 15));
        }
    if (before->conf.st == 2) {
        s = *old;
        s.cache[number].conf.st = 3;
        settle_confirm(&s.cache[number]);
        add(&s, A_CONF_OUT, (uint16_t)(before->conf.rev | number << 15));
        s = *old;
        s.cache[number].conf.st = 0; /* lost */
        add(&s, A_LOSE, (uint16_t)(number << 15));
    }
}

static void ask(const S *old, int number)
{
    for (int f = number * FLIGHTS; f < number * FLIGHTS + flights; f++) {
        if (old->flight[f].st != 0)
            continue;
        for (int i = 0; i < server_count(); i++) {
            S s = *old;
            s.flight[f].st = 1;
            s.flight[f].srv = (u8)i;
            s.flight[f].gen = !ON(ASKED_STREAM) || s.cache[number].st == 2;
            s.flight[f].late = (u8)is_due(&s);
            if (merged && !read_revision(&s, f))
                continue;
            add(&s, A_ASK, (uint16_t)(i | number << 15));
        }
        break;
    }
}

static int is_kept(const struct cache *k, int r, int h, int gen)
{
    if (k->none == 1 || (ON(NO_ID) && !ON(NO_ASKED) && !gen))
        return 0;
    if (r < k->start && !ON(NO_WINDOW))
        return 0;
    int from = r < k->start ? k->start : r;
    if (!ON(NO_EVCHK) && from < k->pos && ends(k->log_c, from, k->pos))
        return 0;
    return r > k->pos || r < k->start || ON(NO_ID) || hist_at(k, r) == h;
}

static void answer(const S *old, int number, int f)
{
    S s = *old;
    struct cache *k = &s.cache[number];
    int r = s.flight[f].rev, h = s.flight[f].hist;
    if (old->flight[f].late)
        violate(old, "I1/I2: a caller who came after the bound is told active by a call's answer", A_ANSWER,
                (uint16_t)(r << 1 | number << 15));
    int keep = is_kept(k, r, h, s.flight[f].gen);
    if (keep) {
        k->entry = r <= k->pos ? 1 : 2;
        k->erev = (u8)r;
        k->ehist = (u8)h;
        k->ewait = 0;
    }
    s.flight[f].st = 0;
    add(&s, A_ANSWER, (uint16_t)(keep | r << 1 | number << 15));
}

static void cache(const S *old, int number)
{
    const struct cache *before = &old->cache[number];
    if (can_hit(before)) {
        hit_seen = 1;
        if (before->none == 2)
            hit_resumed_seen = 1;
        if (is_due(old))
            violate(old,
                    old->xew ? "I2: a cache answers active after EVERYWHERE was acknowledged"
                             : "I1: a cache answers active later than the bound",
                    A_HIT, (uint16_t)(number << 15));
    }
    connect_cache(old, number);
    cut(old, number);
    ping(old, number);
    confirm(old, number);
    if (before->st != 0 && old->conn[number * 2].dnn > 0) {
        S s = *old;
        message *dn = s.conn[number * 2].dn, m = dn[0];
        s.conn[number * 2].dnn--;
        memmove(dn, dn + 1, (DOWN - 1) * sizeof m);
        dn[DOWN - 1] = 0;
        deliver(&s, number, m);
        add(&s, A_RECV, (uint16_t)(m | number << 15));
    }
    ask(old, number);
    for (int f = number * FLIGHTS; f < (number + 1) * FLIGHTS; f++) {
        if (old->flight[f].st == 0)
            continue;
        if (ON(JOIN) && is_due(old) && !old->flight[f].late) {
            S s = *old;
            s.flight[f].late = 1;
            add(&s, A_JOIN, (uint16_t)(number << 15));
        }
        if (old->flight[f].st == 4)
            answer(old, number, f);
    }
}

static void print_message(message m)
{
    u8 l = LOAD(m);
    switch (TYPE(m)) {
    case EV:
        printf("event (%s, history %d)", l & 1 ? "the token ends" : "another", l >> 1 & 3);
        break;
    case PONG:
        printf("pong to a ping sent %d ticks ago", l & 3);
        break;
    case RESUMED:
        printf("resumed");
        break;
    case RESET:
        printf("reset to revision %d (history %d)", l & 7, l >> 3 & 3);
        break;
    }
}

static void print_action(int action, uint16_t arg)
{
    if (CACHES > 1 && (action == A_RECV || (action >= A_CONNECT && action <= A_CUT) || action == A_PING ||
                       action == A_ASK || action == A_JOIN || action == A_ANSWER || action == A_HIT))
        printf("%d. ", 1 + (arg >> 15));
    arg &= 0x7fff;
    printf("%s", action_names[action]);
    switch (action) {
    case A_RECV:
        printf(": "), print_message(arg);
        break;
    case A_FAILOVER:
    case A_TRIM:
        printf(" %d", arg);
        break;
    case A_LOOK:
    case A_LOOK_BEGIN:
    case A_LOOK_END:
    case A_RESTART:
    case A_CONNECT:
    case A_ASK:
    case A_CONFIRM:
    case A_CONF_IN:
        printf(" %c", 'A' + arg);
        break;
    case A_FIRST:
    case A_PING_IN:
    case A_PONG_OUT:
    case A_EVENT_OUT:
    case A_RESET_OUT:
    case A_END:
        if (CACHES > 1)
            printf(" of cache %d", 1 + arg / 2);
        printf(arg % 2 ? " (the old one)" : "");
        break;
    case A_ANSWER:
        printf(": active, revision %d, %s", arg >> 1, arg & 1 ? "kept" : "not kept");
        break;
    case A_CONF_OUT:
        printf(": revision %d", arg);
        break;
    case A_COMMIT_X:
        if (arg)
            printf(" (unknown token: OK, nothing is logged)");
        break;
    }
}

static void print_state(const S *s)
{
    const struct cache *k = &s->cache[0];
    printf("   store len=%d log=%02x hist=%d xage=%d ew=%d/%d | A %d:%02x c%d B %d:%02x c%d | cache st=%d pos=%d "
           "start=%d trust-age=%d entry=%d@%d/%d susp=%d | flight %d@%d\n",
           s->len, s->log, s->hist, s->xage, s->ew, s->xew, s->server[0].alen, s->server[0].alog, s->server[0].cage,
           s->server[1].alen, s->server[1].alog, s->server[1].cage, k->st, k->pos, k->start, k->tage, k->entry, k->erev,
           k->ehist, k->susp, s->flight[0].st, s->flight[0].rev);
}

static int number(const char *text, const char *name, int *value)
{
    size_t n = strlen(name);
    if (strncmp(text, name, n) != 0 || text[n] != '=')
        return 0;
    *value = atoi(text + n + 1);
    return 1;
}

int main(int argc, char **argv)
{
    int verbose = 0, limit = 0;
    struct {
        const char *name;
        int *value;
    } numbers[] = {{"replicas", &replicas},
                   {"LC", &LC},
                   {"LS", &LS},
                   {"R", &R},
                   {"commits", &commits},
                   {"failovers", &failovers},
                   {"trims", &trims},
                   {"cuts", &cuts},
                   {"resets", &resets},
                   {"restarts", &restarts},
                   {"flights", &flights},
                   {"drift", &drift},
                   {"everywhere", &everywhere},
                   {"issue_lost", &issue_lost},
                   {"verbose", &verbose},
                   {"limit", &limit},
                   {"xmax", &xmax},
                   {"merged", &merged},
                   {"server_ends", &server_ends},
                   {"slow_looks", &slow_looks}};
    for (int i = 1; i < argc; i++) {
        int known = 0;
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            known |= number(argv[i], numbers[n].name, numbers[n].value);
        for (int f = 0; f < F_COUNT; f++)
            if (strcmp(argv[i], flag_names[f]) == 0)
                known = has[f] = 1;
        if (!known) {
            fprintf(stderr, "what is %s?\n", argv[i]);
            return 2;
        }
    }
    if (limit > 0)
        max_states = limit;
    if (!replicas)
        LS = 0;
    /* a lease of n ticks is at most n - 1 old, whole ticks */
    BOUND = LC + (replicas ? LS - 1 : 0) + (drift && !ON(EW_SLACK));
    uint32_t size = 1;
    while (size < max_states * 2)
        size *= 2;
    table_mask = size - 1;
    table = calloc(size, sizeof *table);
    states = malloc((size_t)max_states * sizeof *states);
    nodes = malloc((size_t)max_states * sizeof *nodes);
    if (table == NULL || states == NULL || nodes == NULL)
        return 4;
    S s;
    memset(&s, 0, sizeof s);
    s.xage = 255;
    s.exists = 1;
    for (int k = 0; k < CACHES; k++) {
        s.cache[k].none = 1;
        s.cache[k].tage = (u8)LC;
    }
    s.commits = (u8)commits;
    s.failovers = (u8)failovers;
    s.trims = (u8)trims;
    s.cuts = (u8)cuts;
    s.resets = (u8)resets;
    s.restarts = (u8)restarts;
    for (int i = 0; i < SERVERS; i++)
        s.server[i].memage = s.server[i].upage = everywhere ? 255 : 0;
    add(&s, 0, 0);
    for (current = 0; current < count && violated == NULL; current++) {
        const S old = states[current];
        tick(old, 0);
        if (drift && old.skip == 0)
            tick(old, 1);
        changes(&old);
        servers(&old);
        for (int k = 0; k < CACHES; k++)
            cache(&old, k);
    }
    if (violated == NULL) {
        printf("SAFE states=%u transitions=%ld hits=%d hits-after-resume=%d everywhere=%d\n", count, transitions,
               hit_seen, hit_resumed_seen, ew_seen);
        return 0;
    }
    uint32_t path[1000];
    int n = 0;
    for (uint32_t i = current - 1; i != 0; i = nodes[i].parent)
        path[n++] = i;
    printf("VIOLATED %s states=%u steps=%d\n", violated, count, n + 1);
    for (int i = n - 1; i >= 0; i--) {
        printf("  %2d ", n - i);
        print_action(nodes[path[i]].action, nodes[path[i]].arg);
        printf("\n");
        if (verbose)
            print_state(&states[path[i]]);
    }
    printf("  %2d ", n + 1);
    print_action(last_action, last_arg);
    printf("\n");
    return 1;
}
