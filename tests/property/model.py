# SPDX-License-Identifier: Apache-2.0
"""What a Gatehouse does, as a program of a few pages: credentials, roles, owners, tokens, time.

Nothing in here knows how the daemon does it. A token is alive or dead by itself; a change that is effective kills those
concerned. Times are microseconds. The moment at which the daemon did something is known only as a Span, from before the
call to after it; so a deadline may be past (True), not past (False), or neither can be said (None).
"""
from ipaddress import ip_address, ip_network
from typing import NamedTuple

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HOST = "127.0.0.1"  # from where everything is called

BUILT_IN = ("service_agent", "self_service_user", "work_creator", "work_assigner", "team_leader", "user_manager",
            "master_builder", "release_manager", "resource_server", "auditor", "key_manager")
GRADES = {"auditor", "key_manager", "user_manager"}  # of administrators


class Span(NamedTuple):
    lo: int
    hi: int

    def plus(self, amount):
        return Span(self.lo + amount, self.hi + amount)


def passed(now, deadline):
    if now.lo >= deadline.hi:
        return True
    return False if now.hi < deadline.lo else None


def later(a, b):
    return Span(max(a.lo, b.lo), max(a.hi, b.hi))


def not3(value):
    return None if value is None else not value


class Secret:
    def __init__(self, secret_id, text):
        self.secret_id, self.text, self.ends = secret_id, text, None

    def is_live(self, now):
        return True if self.ends is None else not3(passed(now, self.ends))


class Limits(NamedTuple):
    """Of a credential's own; 0: none."""
    idle: int = 0
    cap: int = 0
    max_tokens: int = 0
    an_hour: int = 0
    observed: frozenset = frozenset()  # those that end and refuse nothing

    def in_force(self, name):
        return 0 if name in self.observed else getattr(self, name)

    def held(self, settings):
        """The settings, and in their place what holds of these."""
        return settings._replace(**{name: self.in_force(name) for name in ("idle", "cap", "max_tokens") if self.in_force(name)})


LIMITS = ("idle", "cap", "max_tokens", "an_hour")


class Credential:
    def __init__(self, client_id, name, owner, expires, roles):
        self.client_id, self.name, self.owner, self.expires = client_id, name, owner, expires
        self.grants = dict.fromkeys(roles, True)  # False: was granted, is revoked
        self.secrets = []  # newest first
        self.deleted = None
        self.suspended = False
        self.is_due = False  # its retention was over at some time: it may be purged
        self.old_etags = []
        self.self_rotation = False
        self.contact, self.labels = "", {}
        self.addresses = ((), False)  # networks, observe_only
        self.limits = Limits()
        self.seen = {}  # by those that are observed: uses and tokens that they would have ended or refused, at least, at most
        self.turn = Span(0, 0)  # until when the tokens that it may be issued in an hour are taken

    def is_outside(self, peer):
        """A use from there? Of no peer nothing can be said."""
        networks, _ = self.addresses
        return bool(peer and networks and not any(ip_address(peer) in ip_network(network) for network in networks))

    def refuses(self, peer):
        return self.is_outside(peer) and not self.addresses[1]

    def observes(self, peer):
        return self.is_outside(peer) and self.addresses[1]

    def granted(self):
        return {role for role, is_granted in self.grants.items() if is_granted}

    def is_expired(self, now):
        return False if self.expires is None else passed(now, Span(self.expires, self.expires))

    def live_secrets(self, now):
        return [secret for secret in self.secrets if secret.is_live(now)]

    def see(self, name, is_over, times=1):
        """What a limit that is observed would have ended or refused."""
        seen = self.seen.setdefault(name, [0, 0])
        self.seen[name] = [seen[0] + times * (is_over is True), seen[1] + times * (is_over is not False)]


class User:
    def __init__(self):
        self.roles, self.had, self.is_known = set(), set(), False


class Token:
    def __init__(self, text, accessor, credential, roles, now):
        self.text, self.accessor, self.credential, self.roles = text, accessor, credential, frozenset(roles)
        self.issued = Span(now.lo // SECOND * SECOND, now.hi // SECOND * SECOND)
        self.used = now
        self.stored = now  # what of its uses is certainly on disk
        self.is_dead = False
        self.is_unsure = False  # a change of that moment may have ended it or not
        self.lapsed = None  # when it was found to have died by itself
        self.apis = {""}  # which of them it may have called last
        self.stored_apis = {""}  # and which of them may be what is on disk


class Settings(NamedTuple):
    idle: int = 20 * MINUTE
    cap: int = 0
    max_tokens: int = 0
    retention: int = 30 * DAY


class Ended:
    """How many tokens of how many credentials a change ends: at least, at most."""

    def __init__(self):
        self.tokens = [0, 0]
        self.credentials = [0, 0]

    def add(self, sure, unsure):
        self.tokens = [self.tokens[0] + sure, self.tokens[1] + sure + unsure]
        self.credentials = [self.credentials[0] + (sure > 0), self.credentials[1] + (sure + unsure > 0)]


class Model:
    def __init__(self, grace=0):
        self.grace = grace  # for so long another replica's use may not be known
        self.credentials, self.users, self.tokens = {}, {}, []
        self.roles = dict.fromkeys(BUILT_IN, False)  # is it retired?
        self.settings = Settings()
        self.usage = {}

    # What holds now

    def effective(self, credential):
        granted = credential.granted()
        return granted & self.user(credential.owner).roles if credential.owner else granted

    def user(self, name):
        return self.users.get(name) or User()

    def grant_state(self, credential, role):
        if not credential.grants[role]:
            return "REVOKED"
        if role in self.effective(credential):
            return "GRANTED"
        return "REVOKED_FROM_OWNER" if role in self.user(credential.owner).had else "NOT_HELD_BY_OWNER"

    def expires(self, token, settings=None):
        """When it dies if it is not used again."""
        settings = token.credential.limits.held(settings or self.settings)
        end = token.used.plus(settings.idle)
        ends = [Span(end.lo, end.hi + self.grace)]
        if settings.cap:
            ends.append(token.issued.plus(settings.cap))
        if token.credential.expires is not None:
            ends.append(Span(token.credential.expires, token.credential.expires))
        return Span(min(end.lo for end in ends), min(end.hi for end in ends))

    def is_alive(self, token, now, settings=None):
        if token.is_dead:
            return False
        return None if token.is_unsure else not3(passed(now, self.expires(token, settings)))

    def live(self, credential, now):
        """Tokens of a credential that are alive for sure, and those that may be."""
        states = [(token, self.is_alive(token, now)) for token in self.tokens if token.credential is credential]
        return [t for t, state in states if state], [t for t, state in states if state is None]

    def has_as_many(self, credential, most, now):
        """As many tokens as `most` are live? One that died by itself within a second may be counted still."""
        live, unsure = self.live(credential, now)
        lapsed = [t for t in self.tokens if t.credential is credential and t.lapsed and t.lapsed.hi > now.lo - 2 * SECOND]
        return False if not most or len(live) + len(unsure) + len(lapsed) < most else len(live) >= most or None

    def is_too_fast(self, credential, now):
        """Would one more be more than it may be issued in an hour? They are a bucket that fills evenly, full at `turn`."""
        if not credential.limits.an_hour:
            return False
        full = HOUR - HOUR // credential.limits.an_hour
        return not3(passed(now, credential.turn.plus(-full)))

    def take_turn(self, credential, now, is_too_fast):
        if credential.limits.an_hour and is_too_fast is not True:
            after = later(credential.turn, now).plus(HOUR // credential.limits.an_hour)
            credential.turn = after if is_too_fast is False else Span(credential.turn.lo, after.hi)

    def administrators(self, now):
        return [c for c in self.credentials.values()
                if not c.deleted and not c.suspended and c.is_expired(now) is not True and "user_manager" in self.effective(c)]

    def named(self, name):
        return next((c for c in self.credentials.values() if c.name == name and not c.deleted), None)

    # Time passes

    def sweep(self, now):
        """What is dead stays dead."""
        for token in self.tokens:
            if self.is_alive(token, now) is False:
                token.lapsed = token.lapsed if token.is_dead else now
                token.is_dead = True
        for credential in self.credentials.values():
            if credential.deleted and passed(now, credential.deleted.plus(self.settings.retention)) is not False:
                credential.is_due = True

    def was_ahead(self, then):
        """A clock that was wrong for a moment was at some time within `then`. Of what it ended, some may stay ended: tokens,
        secret keys, and what was deleted."""
        for token in self.tokens:
            token.is_unsure |= self.is_alive(token, then) is None
        for credential in self.credentials.values():
            if credential.deleted and passed(then, credential.deleted.plus(self.settings.retention)) is not False:
                credential.is_due = True
            for secret in credential.secrets:
                if secret.is_live(then) is None:
                    secret.ends = Span(min(then.lo, secret.ends.lo), secret.ends.hi)

    def use(self, token, now, api, used_ago=0, times=1, peer=HOST):
        """How many of them what is only observed would have refused: at least, at most."""
        observed = self.observe(token, now.plus(-used_ago), times, peer=peer)
        token.used = later(token.used, now.plus(-used_ago))
        token.apis = {api, ""} if not used_ago else token.apis | {api}
        token.stored_apis |= {api}
        return observed

    def observe(self, token, used, times=1, is_sure=True, peer=HOST):
        """A use after which end of its times? Of several that are told together, the first alone can come after a pause."""
        credential = token.credential
        observed = [times * credential.observes(peer)] * 2
        for name, begin, count in (("idle", token.used, 1), ("cap", token.issued, times)):
            if name in credential.limits.observed:
                is_over = passed(used, begin.plus(getattr(credential.limits, name)))
                credential.see(name, is_over if is_sure or is_over is False else None, count)
                observed = [max(observed[0], count * (is_over is True)), max(observed[1], count * (is_over is not False))]
        return observed if is_sure else [0, observed[1]]

    def count(self, token, api, is_allowed, times, observed=(0, 0), is_sure=True):
        """Allowed and denied, and those that may have been."""
        self.count_observed(token.credential, api, observed)[2 * (not is_sure) + (not is_allowed)] += times

    def count_observed(self, credential, api, observed):
        """Calls that were answered, and that what is only observed would have refused: at least, at most."""
        counts = self.usage.setdefault((credential.client_id, api), [0, 0, 0, 0, 0, 0])
        counts[4:] = [count + more for count, more in zip(counts[4:], observed)]
        return counts

    def crash(self):
        """The last uses may be lost: a token may expire that much earlier, never later. And what was observed of them."""
        for credential in self.credentials.values():
            credential.seen = {name: [0, most] for name, (_, most) in credential.seen.items()}
        for token in self.tokens:
            token.used = Span(token.stored.lo, token.used.hi)
            token.apis = token.apis | token.stored_apis

    def flushed(self):
        """A use that is not later than the stored one by a twentieth of the idle timeout need not be stored."""
        for token in self.tokens:
            step = token.credential.limits.held(self.settings).idle // 20
            token.stored = Span(max(token.stored.lo, token.used.lo - step), token.used.hi)
            token.stored_apis = token.stored_apis | token.apis

    # Changes. Each says what it ends; with is_dry it only says so.

    def end_tokens(self, credentials, now, is_dry=False):
        ended = Ended()
        for credential in credentials:
            sure, unsure = self.live(credential, now)
            ended.add(len(sure), len(unsure))
            for token in () if is_dry else sure + unsure:
                token.is_dead = True
        return ended

    def change_roles(self, now, change, is_dry=False):
        """Does `change`, which returns how to undo it; ends the tokens of those whose effective roles differ after."""
        everyone = list(self.credentials.values())
        before = [self.effective(c) for c in everyone]
        undo = change()
        concerned = [c for c, roles in zip(everyone, before) if self.effective(c) != roles]
        if is_dry:
            undo()
        return self.end_tokens(concerned, now, is_dry)

    def grant(self, now, credential, roles, is_grant, is_dry=False):
        def change():
            before = dict(credential.grants)
            for role in roles:
                if is_grant or role in credential.grants:
                    credential.grants[role] = is_grant
            return lambda: setattr(credential, "grants", before)
        return self.change_roles(now, change, is_dry)

    def set_user(self, now, name, roles, is_known=True, is_dry=False):
        def change():
            before = self.users.get(name)
            user = self.users[name] = User()
            had = before.roles | before.had if before else set()
            user.roles, user.had, user.is_known = set(roles), had - set(roles), is_known

            def undo():
                del self.users[name]
                if before:
                    self.users[name] = before
            return undo
        return self.change_roles(now, change, is_dry)

    def update(self, now, credential, fields, is_dry=False):
        """Name, owner, expires, addresses, limits …"""
        before = {field: getattr(credential, field) for field in fields}
        roles, seen = self.effective(credential), credential.seen
        lived = {token: self.is_alive(token, now) for token in self.tokens if token.credential is credential}
        for field, value in fields.items():
            setattr(credential, field, value)
        if credential.is_expired(now) or self.effective(credential) != roles:
            ended = self.end_these(lived, dict.fromkeys(lived, False), is_dry)
        else:
            ended = self.end_these(lived, {token: self.is_alive(token, now) for token in lived}, is_dry)
        if "limits" in fields:  # of one that has changed is counted anew
            old, new = before["limits"], credential.limits
            credential.seen = {name: count for name, count in seen.items()
                               if name in new.observed and getattr(old, name) == getattr(new, name)}
        if is_dry:
            credential.seen = seen
            for field, value in before.items():
                setattr(credential, field, value)
        return ended

    def change_settings(self, now, settings, is_dry=False):
        lived = {token: self.is_alive(token, now) for token in self.tokens}
        ended = self.end_these(lived, {token: self.is_alive(token, now, settings) for token in lived}, is_dry)
        if not is_dry:
            self.settings = settings
        return ended

    def end_these(self, before, after, is_dry):
        """What lived before a change, and what does after it."""
        ended, counts = Ended(), {}
        for token, was in before.items():
            if was is False:
                continue
            count, is_sure = counts.setdefault(token.credential, [0, 0]), was is True and after[token] is False
            count[0] += is_sure
            count[1] += after[token] is not True and not is_sure
            if not is_dry:
                token.is_dead = after[token] is False
                token.is_unsure = not token.is_dead and None in (was, after[token])
        for sure, unsure in counts.values():
            ended.add(sure, unsure)
        return ended

    def regenerate(self, now, credential, overlap, secret):
        """secret None: only what would end."""
        ended = Ended()
        if overlap == 0:
            ended = self.end_tokens([credential], now, is_dry=secret is None)
        if secret is None:
            return ended
        for i, old in enumerate(credential.live_secrets(now)):
            end = now.plus(overlap) if i == 0 else now
            old.ends = end if old.ends is None else Span(min(old.ends.lo, end.lo), min(old.ends.hi, end.hi))
        credential.secrets.insert(0, secret)
        return ended

    def delete(self, now, credential, is_dry=False):
        ended = self.end_tokens([credential], now, is_dry)
        if not is_dry:
            credential.deleted = now
        return ended

    def suspend(self, now, credential, is_dry=False):
        ended = self.end_tokens([credential], now, is_dry)
        credential.suspended |= not is_dry
        return ended

    def forget(self, credential):
        """It was purged."""
        del self.credentials[credential.client_id]
        self.usage = {key: value for key, value in self.usage.items() if key[0] != credential.client_id}
