# SPDX-License-Identifier: Apache-2.0
"""The other steps: the catalogue, owners, tokens, settings, time."""
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from harness import NO_CREDENTIAL, is_within, micros
from model import DAY, GRADES, HOST, HOUR, MINUTE, SECOND, Limits, Secret, Span, not3
from steps import INVALID, LAST, NO_ROLE, STALE, USERS, CredentialSteps

APIS = {"GET /cases": "GET /cases", "POST /cases/4711/notes?x=1": "POST /cases/{id}/notes", "": "unnamed",
        "PUT /a/0a1b2c3d-0000-4000-8000-123456789abc": "PUT /a/{id}"}
NO_USER = ("NOT_FOUND", "NO_SUCH_USER")
OUTSIDE = ("PERMISSION_DENIED", "SOURCE_ADDRESS_REFUSED")
UNKNOWN = ("UNAUTHENTICATED", "CALLER_UNKNOWN")
OK = ("OK", "")
REVOKE = "/gatehouse.v1.AuthService/Revoke"


def outcomes(*checks):
    """Outcomes, and whether each is so, may be so, or is not, in the order in which the daemon looks."""
    allowed = []
    for some, state in checks:
        allowed += some if state is not False else []
        if state is True:
            return allowed
    return allowed + [OK]


class Steps(CredentialSteps):
    # Roles and owners

    def step_role(self):
        model = self.model
        own = sorted(model.roles)
        if len(own) < 20 and self.chance(0.4):
            role = self.random.choice(own) if self.chance(0.2) else f"own_{len(own)}"
            self.note(f"create role {role}")
            answer = self.admin("CreateRole", pb.CreateRoleRequest(role=pb.Role(role_id=role, name="N", group="G")))
            if self.judge("create role", answer, [("ALREADY_EXISTS", "ROLE_EXISTS")] * (role in model.roles)):
                model.roles[role] = False
            return
        role, is_retired = self.random.choice(own + ["no_such_role"]), self.chance(0.3)
        self.note(f"retire role {role}: {is_retired}")
        answer = self.admin("UpdateRole", pb.UpdateRoleRequest(role=pb.Role(role_id=role, retired=is_retired),
                                                               update_mask=FieldMask(paths=["retired"])))
        is_needed = is_retired and role in GRADES | {"resource_server"}
        errors = [NO_ROLE] * (role not in model.roles) + [("FAILED_PRECONDITION", "BUILT_IN_ROLE")] * is_needed
        if self.judge("update role", answer, errors):
            model.roles[role] = is_retired
        for shows_retired in (False, True):
            answer = self.admin("ListRoles", pb.ListRolesRequest(show_retired=shows_retired))
            got = {role.role_id: role.retired for role in answer.value.roles}
            want = {role: retired for role, retired in model.roles.items() if shows_retired or not retired}
            self.expect(got == want, "the catalogue", got, want)

    def same_user(self, message, name, user):
        got = (message.user, list(message.roles), list(message.revoked_roles), message.credential_count)
        owned = [c for c in self.model.credentials.values() if c.owner == name and not c.deleted]
        want = (name, sorted(user.roles), sorted(user.had), len(owned))
        self.expect(got == want, "a user is not what the model says", got, want)

    def step_set_user(self):
        name, is_dry = self.random.choice(USERS), self.chance(0.15)
        user = self.model.user(name)
        if self.chance(0.5) and user.roles:  # a small change, or none
            roles = user.roles ^ set(self.pick_roles(2)) if self.chance(0.6) else user.roles
        else:
            roles = set(self.random.sample(sorted(self.model.roles), self.random.randrange(0, 9)))
        self.note(f"set user {name}: {sorted(roles)} dry {is_dry}")
        answer = self.admin("SetUserRoles", pb.SetUserRolesRequest(user=name, roles=sorted(roles),
                                                                   validate_only=is_dry))
        if not self.judge("set user", answer, [NO_ROLE] * any(role not in self.model.roles for role in roles)):
            return
        ended = self.model.set_user(answer.now, name, roles, is_dry=is_dry)
        self.same_impact("set user", answer.value.impact, ended)
        if not is_dry:
            self.same_user(answer.value.user, name, self.model.user(name))

    def step_get_user(self):
        name = self.random.choice(USERS)
        self.note(f"get user {name}")
        answer = self.admin("GetUser", pb.GetUserRequest(user=name))
        user = self.model.user(name)
        if self.judge("get user", answer, [NO_USER] * (not user.is_known)):
            self.same_user(answer.value.user, name, user)
        role = self.random.choice(sorted(self.model.roles))
        answer = self.admin("ListUsers", pb.ListUsersRequest(filter=f"role={role}"))
        want = {name for name, user in self.model.users.items() if user.is_known and role in user.roles}
        got = [user.user for user in answer.value.users]
        self.expect(set(got) == want and answer.value.total_size == len(want), f"users with {role}", got, want)

    def step_delete_user(self):
        name, is_dry = self.random.choice(USERS), self.chance(0.2)
        user = self.model.user(name)
        is_stale, etag = False, ""
        if user.is_known and self.chance(0.3):
            etag = self.admin("GetUser", pb.GetUserRequest(user=name)).value.user.etag
            is_stale = self.chance(0.5)
        self.note(f"delete user {name} dry {is_dry} stale {is_stale}")
        answer = self.admin("DeleteUser", pb.DeleteUserRequest(
            user=name, etag="v0" if is_stale else etag, validate_only=is_dry))
        if self.judge("delete user", answer, [NO_USER] * (not user.is_known) + [STALE] * is_stale):
            ended = self.model.set_user(answer.now, name, (), is_known=False, is_dry=is_dry)
            self.same_impact("delete user", answer.value.impact, ended)

    # Tokens

    def step_issue(self, credential=None):
        model, rng = self.model, self.random
        credential = credential or self.pick(is_deleted=self.chance(0.05))
        if credential is None:
            return
        live, unsure = model.live(credential, self.clock_span())
        if len(live) + len(unsure) > 8:
            return self.step_end_tokens(credential)
        secret = rng.choice(credential.secrets[:3] if self.chance(0.2) else credential.secrets[:1])
        text = secret.text if self.chance(0.97) else secret.text[:-1] + "!"
        effective = sorted(model.effective(credential))
        scopes = rng.sample(effective, rng.randrange(0, len(effective) + 1)) if self.chance(0.3) else []
        scopes += [rng.choice(sorted(model.roles))] * self.chance(0.05)
        self.note(f"issue {credential.name} scopes {scopes}")
        answer = self.raw(self.daemon.auth.IssueToken, auth.IssueTokenRequest(
            client_id=credential.client_id, client_secret=text, scopes=scopes))
        good = self.may_authenticate(credential, secret, answer.now) if text == secret.text else False
        limits, held, now = credential.limits, credential.limits.held(model.settings), answer.now
        full, fast = model.has_as_many(credential, held.max_tokens, now), model.is_too_fast(credential, now)
        errors = outcomes(([("UNAUTHENTICATED", "INVALID_CLIENT"), ("RESOURCE_EXHAUSTED", "TOO_MANY_FAILURES")], not3(good)),
                          ([("UNAUTHENTICATED", "CREDENTIAL_SUSPENDED")], credential.suspended),
                          ([OUTSIDE], credential.refuses(HOST)),
                          ([("INVALID_ARGUMENT", "INVALID_SCOPE")], not set(scopes) <= set(effective)),
                          ([("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS")], full),
                          ([("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS_PER_HOUR")], "an_hour" not in limits.observed and fast))
        if not self.judge("issue", answer, errors):
            return
        if "max_tokens" in limits.observed:
            credential.see("max_tokens", model.has_as_many(credential, limits.max_tokens, now))
        if "an_hour" in limits.observed:
            credential.see("an_hour", fast)
        refused = [credential.observes(HOST), "an_hour" in limits.observed and fast,
                   "max_tokens" in limits.observed and model.has_as_many(credential, limits.max_tokens, now)]
        if refused != [False] * 3:
            model.count_observed(credential, "/gatehouse.v1.AuthService/IssueToken", [True in refused, True])
        model.take_turn(credential, now, fast if "an_hour" in limits.observed else False)
        want = sorted(set(scopes) or effective)
        self.expect(list(answer.value.scopes) == want, "scopes of a new token", answer.value.scopes, want)
        life = min(held.idle, held.cap or held.idle)
        lives = [life if credential.expires is None else min(life, max(credential.expires - now, 0)) for now in answer.now]
        self.expect(min(lives) // SECOND <= answer.value.expires_in.seconds <= max(lives) // SECOND,
                    "expires_in", answer.value.expires_in, lives)
        ends = answer.value.client_secret_expires_at
        self.expect(answer.value.credential_expires_at == (credential.expires or 0) // SECOND and
                    (ends == 0 if secret.ends is None else secret.ends.lo // SECOND <= ends <= secret.ends.hi // SECOND),
                    "when secret key and credential end", answer.value, credential.expires, secret.ends)
        self.add_token(credential, answer.value, answer.now)

    def may_authenticate(self, credential, secret, now):
        """Of one that is suspended: does it hear that it is?"""
        states = [secret.is_live(now), not credential.deleted, credential.suspended or not3(credential.is_expired(now))]
        return False if False in states else None if None in states else True

    def pick_token(self):
        self.admin_token()
        alive = [token for token in self.model.tokens if not token.is_dead]
        return self.random.choice(self.model.tokens if self.chance(0.2) or not alive else alive)

    def question(self, token=None):
        """An introspection, and the token that it asks about."""
        token, rng = token or self.pick_token(), self.random
        request = auth.IntrospectRequest(token=token.text, api=rng.choice(sorted(APIS)), no_touch=self.chance(0.2),
                                         peer=rng.choice(["", "", "127.0.0.1", "10.1.2.3", "192.0.2.1", "2001:db8::1"]))
        if self.chance(0.5):
            request.required_roles.extend(rng.sample(sorted(self.model.roles), rng.randrange(1, 3)))
        if self.chance(0.2):
            request.use_count = rng.randrange(1, 50)
            request.used_ago.seconds = rng.randrange(0, self.model.settings.idle // SECOND)
        return token, request

    def same_use(self, token, request, response, now):
        if token is self.token:  # the call itself used it before; after the call is all that can be said
            return
        state, refuses = self.model.is_alive(token, now), token.credential.refuses(request.peer)
        self.expect(bool(response.refusal) <= refuses and not (refuses and response.active), "a use from elsewhere", request.peer)
        if refuses and (response.refusal or state):
            self.expect(state is not False and response.refusal, "a use of a live token that is refused says so", token.used, now)
            if not request.no_touch:
                self.model.count(token, APIS[request.api], False, request.use_count or 1)
            return
        self.expect(state is None or response.active == state, f"token {token.accessor[:12]} of "
                    f"{token.credential.name} is {response.active}", token.used, now)
        if not response.active:
            token.is_dead = True
            return
        missing = [role for role in request.required_roles if role not in token.roles]
        self.expect(response.allowed == (not missing) and list(response.missing_roles) == missing, "allowed",
                    response.allowed, missing)
        if not request.no_touch:
            api = APIS[request.api]
            times = request.use_count or 1
            observed = self.model.use(token, now, api, micros(request.used_ago), times, request.peer)
            self.model.count(token, api, response.allowed, times, observed)
        expires = self.model.expires(token)
        self.expect(is_within(micros(response.expire_time), expires), "expire_time after a use",
                    response.expire_time, expires)

    def step_introspect(self, token=None):
        token, request = self.question(token)
        self.note(f"introspect {token.accessor[:12]} {request.api!r} from {request.peer!r} no_touch {request.no_touch} "
                  f"used_ago {request.used_ago.seconds}")
        answer = self.admin("Introspect", request)
        if self.judge("introspect", answer, ()):
            self.same_use(token, request, answer.value, answer.now)

    def step_batch(self):
        questions = [self.question() for _ in range(self.random.randrange(1, 10))]
        questions = list({token.accessor: (token, request) for token, request in questions}.values())
        self.note(f"batch {[token.accessor[:12] for token, _ in questions]}")
        answer = self.admin("BatchIntrospect", auth.BatchIntrospectRequest(requests=[
            auth.BatchIntrospectEntry.FromString(r.SerializeToString()) for _, r in questions]))
        if self.judge("batch", answer, ()):
            for (token, request), response in zip(questions, answer.value.responses):
                self.same_use(token, request, response, answer.now)

    def step_own_limits(self):
        """A credential that has limits of its own: as many tokens as it gets, a pause, perhaps other limits, uses, and what was
        observed of them."""
        own = [c for c in self.model.credentials.values() if c.limits != Limits() and c is not self.administrator
               and self.may_authenticate(c, c.secrets[0], self.clock_span())]
        if not own:
            return
        credential = self.random.choice(own)
        for _ in range(self.random.randrange(1, 5)):
            self.step_issue(credential)
        if self.chance(0.5):
            self.pass_time(self.random.choice([20, 65, 130, 310]) * SECOND)
            self.step_update(credential)
        for token in [token for token in self.model.tokens if token.credential is credential and not token.is_dead][:4]:
            self.step_introspect(token)
        self.step_get(credential)

    def step_revoke(self):
        """By its own client, by another, by its bearer, by an administrator."""
        token, rng = self.pick_token(), self.random
        if token is self.token:
            return
        how = rng.choice(["client", "other", "bearer", "administrator"])
        self.note(f"revoke {token.accessor[:12]} by {how}")
        request, bearer = auth.RevokeRequest(token=token.text), None
        client = token.credential if how == "client" else self.pick() if how == "other" else None
        if client:
            secrets = client.live_secrets(self.clock_span())
            if not secrets or client.deleted or client.is_expired(self.clock_span()) is not False:
                return
            request.client_id, request.client_secret = client.client_id, secrets[0].text
        elif how == "bearer":
            bearer = token.text
        else:
            bearer = self.admin_token().text
        answer = self.raw(self.daemon.auth.Revoke, request, bearer)
        if bearer == (self.token.text if self.token else None):
            self.model.use(self.token, answer.now, "")
        is_alive, errors = self.model.is_alive(token, answer.now), []
        if client:
            errors = outcomes(([("UNAUTHENTICATED", "CREDENTIAL_SUSPENDED")], client.suspended), ([OUTSIDE], client.refuses(HOST)),
                              ([("PERMISSION_DENIED", "NOT_YOUR_TOKEN")], client is not token.credential and (is_alive or None)))
        if how == "bearer" and is_alive is not False:  # from wherever: it ends
            is_outside = token.credential.refuses(HOST)
            is_sure = is_alive is True
            observed = (0, 0) if is_outside else self.model.observe(token, answer.now, is_sure=is_sure)
            self.model.count(token, REVOKE, not is_outside, 1, observed, is_sure)
        if client and client.observes(HOST) and answer.outcome in (OK, ("PERMISSION_DENIED", "NOT_YOUR_TOKEN")):
            self.model.count_observed(client, REVOKE, [1, 1])
        if self.judge(f"revoke by {how}", answer, errors):
            token.is_dead = True

    def step_grade(self):
        """Whoever it is tries what a key_manager may do, on whomever."""
        token, target = self.pick_token(), self.pick()
        if target is None or token is self.token:
            return
        self.note(f"{token.accessor[:12]} of {token.credential.name} asks what ends {target.name}'s tokens")
        answer = self.raw(self.daemon.admin.EndTokens, pb.EndTokensRequest(
            client_id=target.client_id, validate_only=True), token.text)
        is_other = "user_manager" not in token.roles and target.granted() & GRADES
        is_done = self.judge("a key_manager's work", answer, outcomes(
            ([UNKNOWN], not3(self.model.is_alive(token, answer.now))), ([OUTSIDE], token.credential.refuses(HOST)),
            ([("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")], not token.roles & {"key_manager", "user_manager"}),
            ([("PERMISSION_DENIED", "ADMINISTRATOR_CREDENTIAL")], bool(is_other))))
        self.was_called(token, "EndTokens", answer)
        if is_done:
            self.same_impact("a key_manager's work", answer.value.impact,
                             self.model.end_tokens([target], answer.now, True))

    def was_called(self, token, method, answer):
        """A method of CredentialAdmin, by that token."""
        if answer.outcome == UNKNOWN:
            token.is_dead = True
            return
        is_outside = answer.outcome == OUTSIDE
        observed = (0, 0) if is_outside else self.model.use(token, answer.now, "/gatehouse.v1.Admin")
        self.model.count(token, f"/gatehouse.v1.CredentialAdmin/{method}", not is_outside, 1, observed)

    def step_rotate(self):
        """A holder makes its next secret key."""
        token = self.pick_token()
        credential = token.credential
        if token is self.token or "user_manager" in token.roles or len(credential.live_secrets(self.clock_span())) != 1 \
                or any(secret.is_live(self.clock_span()) is None for secret in credential.secrets):
            return
        self.note(f"{credential.name} rotates its key with {token.accessor[:12]}")
        answer = self.raw(self.daemon.admin.RegenerateSecret, pb.RegenerateSecretRequest(
            client_id=credential.client_id, overlap={"seconds": HOUR // SECOND}), token.text)
        may = credential.self_rotation and token.roles == self.model.effective(credential)
        is_done = self.judge("rotate", answer, outcomes(
            ([UNKNOWN], not3(self.model.is_alive(token, answer.now))), ([OUTSIDE], credential.refuses(HOST)),
            ([("PERMISSION_DENIED", "NO_SELF_ROTATION")], not may)))
        self.was_called(token, "RegenerateSecret", answer)
        if is_done:
            made = Secret(answer.value.credential.secrets[0].secret_id, answer.value.secret_key)
            self.model.regenerate(answer.now, credential, HOUR, made)

    def step_list_tokens(self):
        credential = self.pick(is_deleted=self.chance(0.1))
        if credential is None:
            return
        self.note(f"list tokens of {credential.name}")
        answer = self.admin("ListTokens", pb.ListTokensRequest(client_id=credential.client_id, page_size=1000))
        if not self.found("list tokens", credential, answer) or not self.judge("list tokens", answer, ()):
            return
        sure, unsure = self.model.live(credential, answer.now)
        known = {token.accessor: token for token in sure + unsure}
        got = [info.accessor for info in answer.value.tokens]
        self.expect({t.accessor for t in sure} <= set(got) <= set(known), f"live tokens of {credential.name}",
                    set(got) - set(known), {t.accessor for t in sure} - set(got))
        self.expect(len(got) == answer.value.total_size and got == sorted(got, reverse=True), "newest first", got)
        for info in answer.value.tokens:
            token = known[info.accessor]
            if token is self.token:
                continue
            self.expect(is_within(micros(info.last_use_time), token.used), "last_use_time", info, token.used)
            ends = self.model.expires(token)
            self.expect(is_within(micros(info.expire_time), ends), "expire_time of a token", info, ends)
            # Of a token that called Gatehouse itself the model knows only which service it called.
            names = {info.last_api, info.last_api.split("CredentialAdmin/")[0] + "Admin",
                     info.last_api.split("AuthService/")[0] + "Auth"}
            self.expect(names & token.apis, "last_api", info.last_api, token.apis)
            self.expect(list(info.roles) == sorted(token.roles), "roles of a token", info.roles, token.roles)

    def step_end_token(self):
        token = self.pick_token()
        if token is self.token:
            return
        self.note(f"end token {token.accessor[:12]}")
        answer = self.admin("EndToken", pb.EndTokenRequest(accessor=token.accessor))
        state = self.model.is_alive(token, answer.now)
        if self.judge("end token", answer, ()):
            ended = answer.value.impact.tokens_ended
            self.expect(state is None or ended == state, "tokens_ended of one token", ended, state)
            token.is_dead = True

    def step_end_tokens(self, credential=None):
        credential, is_dry = credential or self.pick(), self.chance(0.2)
        if credential is None:
            return
        self.note(f"end tokens of {credential.name} dry {is_dry}")
        answer = self.admin("EndTokens", pb.EndTokensRequest(client_id=credential.client_id, validate_only=is_dry))
        if self.judge("end tokens", answer, ()):
            self.same_impact("end tokens", answer.value.impact,
                             self.model.end_tokens([credential], answer.now, is_dry))

    # Settings and time

    def step_settings(self):
        rng, old, is_dry = self.random, self.model.settings, self.chance(0.25)
        choices = {
            "idle": ("idle_session_timeout", [0, MINUTE, 5 * MINUTE, 20 * MINUTE, 2 * HOUR, 30 * DAY, 30 * DAY + SECOND,
                                              MINUTE - SECOND]),
            "cap": ("max_token_life", [0, 0, HOUR, DAY, 30 * DAY, MINUTE - SECOND, 3651 * DAY]),
            "max_tokens": ("max_tokens_per_credential", [0, 0, 4, 6, -1]),
            "retention": ("deletion_retention", [0, 5 * DAY, 30 * DAY, 3651 * DAY]),
        }
        request, values = pb.UpdateSettingsRequest(validate_only=is_dry), {}
        request.settings.SetInParent()
        for key in rng.sample(sorted(choices), rng.randrange(1, 3)):
            field, some = choices[key]
            values[key] = value = rng.choice(some)
            request.update_mask.paths.append(field)
            if key == "max_tokens":
                request.settings.max_tokens_per_credential = value
            elif value or key == "retention":
                getattr(request.settings, field).SetInParent()
                getattr(request.settings, field).seconds = value // SECOND
        if values.get("idle") == 0:
            values["idle"] = 20 * MINUTE  # cleared: the default
        new = old._replace(**values)
        is_bad = not MINUTE <= new.idle <= 30 * DAY or new.cap and not MINUTE <= new.cap <= 3650 * DAY or \
            not 0 <= new.max_tokens <= 1_000_000 or not 0 <= new.retention <= 3650 * DAY
        self.note(f"settings {values} dry {is_dry}")
        answer = self.admin("UpdateSettings", request)
        if not self.judge("settings", answer, [INVALID] * bool(is_bad)):
            return
        self.same_impact("settings", answer.value.impact, self.model.change_settings(answer.now, new, is_dry))
        message = self.admin("GetSettings", pb.GetSettingsRequest()).value.settings
        got = (micros(message.idle_session_timeout), micros(message.max_token_life),
               message.max_tokens_per_credential, micros(message.deletion_retention))
        self.expect(got == tuple(self.model.settings), "settings", got, self.model.settings)

    def step_clock(self):
        rng, idle = self.random, self.model.settings.idle
        amount = rng.choice([rng.randrange(1, 30) * SECOND, idle // 3, idle - 2 * SECOND, idle, idle // 2 + SECOND,
                             rng.randrange(1, 120) * MINUTE, rng.randrange(1, 4) * DAY, HOUR - SECOND])
        if amount > 7 * DAY and self.chance(0.8):
            amount = HOUR
        if amount > 10 * MINUTE and self.chance(0.5):  # most of the time much is alive
            amount //= 20
        self.note(f"{amount / SECOND} s pass")
        self.pass_time(amount)

    def step_clock_back(self):
        amount = self.random.randrange(6, 7200) * SECOND
        self.note(f"wall clock - {amount / SECOND} s, which changes nothing")
        self.settle()
        self.jump(-amount)

    def step_clock_ahead(self):
        """For a moment in which nobody calls: what would have ended by then may have, and nothing else. No further than the
        reaper waits before it removes what is dead: it goes by this clock."""
        amount = self.random.randrange(6, 50) * SECOND
        self.note(f"wall clock + {amount / SECOND} s, and right again")
        before = self.clock_span()
        self.jump(amount)
        after = self.clock_span().plus(amount)
        self.jump(-amount)
        self.model.was_ahead(Span(before.lo, after.hi))
