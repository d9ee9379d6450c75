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

    def refuses(self, peer):
        """A use from there? Of no peer nothing can be said."""
        networks, is_observed = self.addresses
        return bool(peer and networks and not is_observed
                    and not any(ip_address(peer) in ip_network(network) for network in networks))

    def granted(self):
        return {role for role, is_granted in self.grants.items() if is_granted}

    def is_expired(self, now):
        return False if self.expires is None else passed(now, Span(self.expires, self.expires))

    def live_secrets(self, now):
        return [secret for secret in self.secrets if secret.is_live(now)]


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
        settings = settings or self.settings
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

    def use(self, token, now, api, used_ago=0):
        token.used = later(token.used, now.plus(-used_ago))
        token.apis = {api, ""} if not used_ago else token.apis | {api}
        token.stored_apis |= {api}

    def count(self, token, api, is_allowed, times, is_sure=True):
        counts = self.usage.setdefault((token.credential.client_id, api), [0, 0, 0])
        counts[2 if not is_sure else 0 if is_allowed else 1] += times

    def crash(self):
        """The last uses may be lost: a token may expire that much earlier, never later."""
        for token in self.tokens:
            token.used = Span(token.stored.lo, token.used.hi)
            token.apis = token.apis | token.stored_apis

    def flushed(self):
        """A use that is not later than the stored one by a twentieth of the idle timeout need not be stored."""
        for token in self.tokens:
            token.stored = Span(max(token.stored.lo, token.used.lo - self.settings.idle // 20), token.used.hi)
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
        """Name, owner, expires, addresses …"""
        was_expired = credential.is_expired(now)
        before = {field: getattr(credential, field) for field in fields}
        roles = self.effective(credential)
        sure, unsure = self.live(credential, now)
        for field, value in fields.items():
            setattr(credential, field, value)
        ended = Ended()
        if credential.is_expired(now) or self.effective(credential) != roles:
            ended.add(len(sure), len(unsure))
            for token in () if is_dry else sure + unsure:
                token.is_dead = True
        elif was_expired is None:
            for token in () if is_dry else sure + unsure:
                token.is_unsure = True
        if is_dry:
            for field, value in before.items():
                setattr(credential, field, value)
        return ended

    def change_settings(self, now, settings, is_dry=False):
        counts, concerned = [0, 0], [set(), set()]
        for token in self.tokens:
            before, after = self.is_alive(token, now), self.is_alive(token, now, settings)
            if before is False:
                continue
            if after is not True:
                is_sure = before is True and after is False
                counts = [counts[0] + is_sure, counts[1] + 1]
                concerned[1].add(token.credential)
                if is_sure:
                    concerned[0].add(token.credential)
            if not is_dry:
                token.is_dead = after is False
                token.is_unsure = not token.is_dead and None in (before, after)
        if not is_dry:
            self.settings = settings
        ended = Ended()
        ended.tokens, ended.credentials = counts, [len(concerned[0]), len(concerned[1])]
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
