# SPDX-License-Identifier: Apache-2.0
"""The daemon beside the model: calls, the daemon's clock as the model sees it, and comparisons."""
import collections
import os
import random
import re
import time
import urllib.request

import grpc
from daemon import Daemon
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from model import HOUR, LIMITS, MINUTE, SECOND, Credential, Limits, Model, Secret, Span, Token

OK = ("OK", "")
NO_CREDENTIAL = ("NOT_FOUND", "NO_SUCH_CREDENTIAL")
MARGIN = 5000  # microseconds; two readers of one clock need not agree to the last of them, and the daemon's may lag by a few
POOL = 95  # tokens that are looked at after every step, dead ones among them


class Clock:
    """What the daemon goes by: the time that passes. A wall clock that was set back changes nothing (clock.h)."""

    def __init__(self):
        self.passed = 0

    def read(self):
        return time.time_ns() // 1000 + self.passed


class Answer:
    def __init__(self, outcome, value, now):
        self.outcome, self.value, self.now = outcome, value, now
        self.is_ok = outcome == OK


def outcome_of(error):
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return error.code().name, info.reason
    return error.code().name, ""


def micros(timestamp):
    return timestamp.seconds * SECOND + timestamp.nanos // 1000


def limits_of(message):
    """What the contract's CredentialLimits says."""
    names = dict(enumerate(LIMITS, 1))
    return Limits(micros(message.idle_timeout), micros(message.max_token_life), message.max_tokens, message.max_tokens_per_hour,
                  frozenset(names[number] for number in message.observe_only))


def is_within(value, bounds):
    return bounds[0] <= value <= bounds[1]


class Harness:
    def __init__(self, seed, flush_interval_ms):
        self.seed, self.random = seed, random.Random(seed)
        self.daemon = Daemon({"metrics_address": "127.0.0.1:0", "flush_interval_ms": str(flush_interval_ms)},
                             clock=True, start=False)
        is_shared = "GATEHOUSE_TEST_STORE" in os.environ
        self.clock, self.model = Clock(), Model(flush_interval_ms * 1000 if is_shared else 0)
        self.history = collections.deque(maxlen=40)
        self.counts = collections.Counter()
        self.checks = 0
        self.start()
        self.adopt_administrator()

    def start(self):
        self.daemon.start()

    def close(self):
        self.daemon.__exit__()

    def note(self, text):
        self.history.append(text)

    def fail(self, text):
        raise AssertionError("\n  ".join([text, "", f"seed {self.seed}; the last steps, the failing one last:",
                                          *self.history]))

    def expect(self, is_so, text, *values):
        self.checks += 1
        if not is_so:
            self.fail(text + "".join(f"\n    {value!r}" for value in values))

    # Calls

    def adopt_administrator(self):
        daemon, model = self.daemon, self.model
        administrator = Credential(daemon.client_id, "administrator", "", None, {"user_manager", "resource_server"})
        administrator.secrets = [Secret(None, daemon.secret)]
        model.credentials[daemon.client_id] = self.administrator = administrator
        self.token = None

    def raw(self, method, request, bearer=None):
        before = self.clock.read()
        try:
            value = method(request, metadata=Daemon.bearer(bearer) if bearer else None, timeout=60)
            outcome = OK
        except grpc.RpcError as error:
            value, outcome = None, outcome_of(error)
        now = Span(before - MARGIN, self.clock.read() + MARGIN)
        self.model.sweep(now)
        return Answer(outcome, value, now)

    def admin_token(self):
        now = self.clock.read()
        if self.token is None or self.model.is_alive(self.token, Span(now, now + 20 * SECOND)) is not True:
            self.token = self.issue(self.administrator, self.administrator.secrets[0].text)
        return self.token

    def issue(self, credential, secret):
        """A token that there must be."""
        answer = self.raw(self.daemon.auth.IssueToken,
                          auth.IssueTokenRequest(client_id=credential.client_id, client_secret=secret))
        self.expect(answer.is_ok, "a valid secret key is refused", answer.outcome)
        return self.add_token(credential, answer.value, answer.now)

    def add_token(self, credential, value, now):
        token = Token(value.access_token, value.accessor, credential, value.scopes, now)
        self.model.tokens.append(token)
        return token

    def admin(self, name, request):
        """A method of CredentialAdmin, or an introspection, by the administrator."""
        token = self.admin_token()
        service = self.daemon.auth if "Introspect" in name else self.daemon.admin
        answer = self.raw(getattr(service, name), request, token.text)
        self.expect(answer.outcome[0] not in ("UNAUTHENTICATED", "PERMISSION_DENIED", "INTERNAL", "UNAVAILABLE"),
                    f"{name}: the administrator is not served", answer.outcome)
        self.model.use(token, answer.now, f"/gatehouse.v1.{'Auth' if service is self.daemon.auth else 'Admin'}")
        return answer

    def judge(self, name, answer, errors):
        """True: it was done. Fails unless it ended with one of `errors`, or well if there are none."""
        allowed = set(errors) or {OK}
        self.counts[name + " " + answer.outcome[1]] += 1
        self.expect(answer.outcome in allowed, f"{name} answered {answer.outcome}, the model {sorted(allowed)}")
        return answer.is_ok

    def found(self, name, credential, answer):
        """A credential that may have been purged meanwhile: False and forgotten if it was."""
        if credential.is_due and answer.outcome == NO_CREDENTIAL:
            self.model.forget(credential)
            self.counts["purged"] += 1
            return False
        return True

    def same_impact(self, name, impact, ended):
        self.expect(is_within(impact.tokens_ended, ended.tokens), f"{name}: tokens_ended {impact.tokens_ended}, the "
                    f"model {ended.tokens}")
        self.expect(is_within(impact.credentials_affected, ended.credentials),
                    f"{name}: credentials_affected {impact.credentials_affected}, the model {ended.credentials}")
        self.counts["tokens ended"] += impact.tokens_ended

    # Comparing

    def same_credential(self, message, credential, now):
        model = self.model
        got = (message.client_id, message.name, message.owner, sorted(message.effective_roles),
               {g.role: pb.GrantedRoleState.Name(g.state)[len("GRANTED_ROLE_STATE_"):] for g in message.roles},
               micros(message.expire_time) if message.HasField("expire_time") else None,
               message.HasField("delete_time"), message.HasField("suspend_time"), message.contact, dict(message.labels),
               (tuple(message.addresses.networks), message.addresses.observe_only), limits_of(message.limits))
        want = (credential.client_id, credential.name, credential.owner, sorted(model.effective(credential)),
                {role: model.grant_state(credential, role) for role in credential.grants},
                credential.expires, credential.deleted is not None, credential.suspended,
                credential.contact, credential.labels, credential.addresses, credential.limits)
        self.expect(got == want, "a credential is not what the model says", got, want)
        self.expect(list(message.effective_roles) == sorted(message.effective_roles), "effective roles not sorted")
        self.same_status(message, credential, now)
        self.same_secrets(message, credential, now)
        if message.etag not in credential.old_etags:
            credential.old_etags.append(message.etag)

    def same_status(self, message, credential, now):
        is_expired = credential.is_expired(now)
        status = pb.CredentialStatus.Name(message.status)[len("CREDENTIAL_STATUS_"):]
        if credential.deleted:
            self.expect(status == "DELETED", "status of a deleted credential", status)
            purge = credential.deleted.plus(self.model.settings.retention)
            self.expect(is_within(micros(message.purge_time), purge), "purge_time", message.purge_time, purge)
        elif credential.suspended:
            self.expect(status == "SUSPENDED", "status of a suspended credential", status)
        else:
            want = {True: {"EXPIRED"}, False: {"ACTIVE"}, None: {"EXPIRED", "ACTIVE"}}[is_expired]
            self.expect(status in want, "status of a credential", status, want)

    def same_observed(self, message, credential):
        """What is answered of it is not older than the question."""
        got = {LIMITS[each.limit - 1]: each.count for each in message.limits.observed}
        self.expect(set(got) <= set(credential.limits.observed), "what is not observed is counted", got)
        for name in credential.limits.observed:
            seen = credential.seen.get(name, [0, 0])
            self.counts[f"observed {name}"] += got.get(name, 0)
            self.expect(is_within(got.get(name, 0), seen), f"what {name} would have ended or refused", got, seen)

    def same_secrets(self, message, credential, now):
        ids = [secret.secret_id for secret in message.secrets]
        sure = [s.secret_id for s in credential.secrets if s.is_live(now) is True]
        may = [s.secret_id for s in credential.secrets if s.is_live(now) is not False]
        if None not in may:
            self.expect(set(sure) <= set(ids) <= set(may) and ids == sorted(ids, reverse=True) and len(ids) <= 2,
                        "live secret keys", ids, sure, may)
            hints = {s.secret_id: s.text[-4:] for s in credential.secrets}
            self.expect(all(hints[s.secret_id] in ('', s.hint) for s in message.secrets), "hints of secret keys")
        for secret in message.secrets:
            self.expect(len(secret.hint) == 4, "a hint is four characters", secret.hint)

    def check_tokens(self):
        """Is every token, dead or alive, what the model says?"""
        model, tokens = self.model, self.model.tokens
        while len(tokens) > POOL:
            dead = [token for token in tokens if token.is_dead and token is not self.token]
            if not dead:
                break
            tokens.remove(self.random.choice(dead))
        caller = self.admin_token()
        requests = [auth.BatchIntrospectEntry(token=token.text, no_touch=True) for token in tokens[:100]]
        answer = self.raw(self.daemon.auth.BatchIntrospect, auth.BatchIntrospectRequest(requests=requests),
                          caller.text)
        self.expect(answer.is_ok, "BatchIntrospect", answer.outcome)
        model.use(caller, answer.now, "/gatehouse.v1.Auth")
        for token, response in zip(tokens[:100], answer.value.responses):
            self.same_token(token, response, answer.now)

    def same_token(self, token, response, now):
        state = self.model.is_alive(token, now)
        if state is None:
            token.is_dead, token.is_unsure = not response.active, False
            self.counts["undecided by time"] += 1
        else:
            self.expect(response.active == state, f"token {token.accessor[:12]} of {token.credential.name} is "
                        f"{'active' if response.active else 'inactive'}, the model says otherwise",
                        token.used, now, self.model.settings)
        if not response.active:
            self.expect(response == auth.IntrospectResponse(), "more is told of an inactive token", response)
            return
        credential = token.credential
        got = (response.client_id, response.credential_name, response.owner, list(response.roles), response.accessor,
               response.idle_timeout.seconds)
        want = (credential.client_id, credential.name, credential.owner, sorted(token.roles), token.accessor,
                credential.limits.held(self.model.settings).idle // SECOND)
        self.expect(got == want, "an active token is not what the model says", got, want)
        self.expect(token.roles <= self.model.effective(credential), "a token carries a role that was revoked",
                    token.roles, self.model.effective(credential))
        expires = self.model.expires(token)
        self.expect(is_within(micros(response.expire_time), expires), "expire_time", response.expire_time, expires)

    # Time

    def pass_time(self, amount):
        self.clock.passed += amount
        self.daemon.pass_time(amount / SECOND)
        self.admin("GetSettings", pb.GetSettingsRequest())  # the daemon has seen it

    def settle(self):
        """The wall clock has been where it is for long enough: back is not possible from here."""
        for _ in range(2):
            self.pass_time(10 * MINUTE + SECOND)

    def jumps(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=60) as answer:
            return int(re.search(rb"(?m)^gatehouse_clock_jumps_total (\d+)$", answer.read()).group(1))

    def jump(self, amount):
        """The daemon has seen it when this returns."""
        before = self.jumps()
        self.daemon.move_clock(amount / SECOND)
        self.expect(self.jumps() == before + 1, "a jump of the wall clock is not counted")

    def crash(self):
        if self.random.random() < 0.5:  # a look at live tokens stores what is noted in memory first
            self.admin("ListTokens", pb.ListTokensRequest(client_id=self.administrator.client_id))
            token, used = self.token, self.token.used
            self.model.flushed()
            token.stored = Span(token.issued.lo, used.hi)
        self.daemon.kill()
        self.model.crash()
        self.start()

    def check_usage(self, is_exact):
        """Who called which API how often, as QueryUsage tells it."""
        rows, page = {}, ""
        while True:
            request = pb.QueryUsageRequest(page_size=1000, page_token=page, include_internal=True)
            request.start_time.seconds = 1
            answer = self.admin("QueryUsage", request)
            self.expect(answer.is_ok, "QueryUsage", answer.outcome)
            for row in answer.value.rows:
                rows[row.client_id, row.api] = [row.allowed, row.denied, row.observed]
            page = answer.value.next_page_token
            if not page:
                break
        for (client_id, api), want in self.model.usage.items():
            credential = self.model.credentials.get(client_id)
            if credential is None or credential.is_due or credential is self.administrator:
                continue
            allowed, denied, observed = got = rows.get((client_id, api), [0, 0, 0])
            most, most_denied = want[0] + want[2], want[1] + want[3]
            is_so = want[0] * is_exact <= allowed <= most and want[1] * is_exact <= denied <= most_denied
            is_so = is_so and want[4] * is_exact <= observed <= want[5]
            self.counts["observed in usage"] += observed > 0
            self.expect(is_so, f"uses of {api} by {credential.name}", got, want)
        known = {key for key in rows if key[0] in self.model.credentials and key[0] != self.administrator.client_id}
        self.expect(known <= set(self.model.usage), "uses that nobody made", known - set(self.model.usage))


def random_expiry(rng, now, is_past):
    if is_past:
        return now - rng.randrange(1, 48) * HOUR
    return now + rng.randrange(1, rng.choice([20, 48 * 60])) * MINUTE
