# SPDX-License-Identifier: Apache-2.0
"""Every administrative call and every use of a token, with random arguments, right and wrong ones."""
import copy

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from harness import NO_CREDENTIAL, Harness, micros, random_expiry
from model import DAY, HOUR, LIMITS, MINUTE, SECOND, Credential, Limits, Secret, Span, not3, passed

INVALID = ("INVALID_ARGUMENT", "INVALID_FIELD")
STALE = ("ABORTED", "STALE_ETAG")
DELETED = ("FAILED_PRECONDITION", "CREDENTIAL_DELETED")
OWN = ("FAILED_PRECONDITION", "OWN_CREDENTIAL")
LAST = ("FAILED_PRECONDITION", "LAST_ADMINISTRATOR")
NO_ROLE = ("NOT_FOUND", "NO_SUCH_ROLE")
RETIRED = ("FAILED_PRECONDITION", "ROLE_RETIRED")
TAKEN = ("ALREADY_EXISTS", "NAME_TAKEN")
REUSED = ("ABORTED", "REQUEST_ID_REUSED")
USERS = [f"user-{i}@example.com" for i in range(6)]
NOBODY = "00000000-0000-4000-8000-000000000000"


def put_addresses(credential, addresses):
    """In some order, as somebody may write them."""
    networks, is_observed = addresses
    if networks:
        credential.addresses.CopyFrom(pb.SourceAddresses(networks=reversed(networks), observe_only=is_observed))


def put_limits(credential, limits):
    if limits != Limits():
        message = pb.CredentialLimits(max_tokens=limits.max_tokens, max_tokens_per_hour=limits.an_hour,
                                      observe_only=sorted(LIMITS.index(name) + 1 for name in limits.observed))
        if limits.idle:
            message.idle_timeout.FromMicroseconds(limits.idle)
        if limits.cap:
            message.max_token_life.FromMicroseconds(limits.cap)
        credential.limits.CopyFrom(message)


class CredentialSteps(Harness):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.made = 0
        self.requests = {}  # request_id: method, request, what it made, when

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, is_deleted=False):
        """A credential, seldom the administrator's."""
        some = [c for c in self.model.credentials.values() if bool(c.deleted) == is_deleted and
                (c is not self.administrator or self.chance(0.1))]
        return self.random.choice(some) if some else None

    def pick_roles(self, most=4):
        roles = self.random.sample(sorted(self.model.roles), self.random.randrange(1, most))
        return roles + ["no_such_role"] * self.chance(0.03)

    def role_errors(self, roles, is_grant):
        errors = [NO_ROLE] * any(role not in self.model.roles for role in roles)
        return errors + [RETIRED] * (is_grant and any(self.model.roles.get(role) for role in roles))

    def etag_for(self, credential):
        """An etag to send, and whether it is stale."""
        if self.chance(0.7):
            return "", False
        answer = self.admin("GetCredential", pb.GetCredentialRequest(client_id=credential.client_id))
        fresh = answer.value.credential.etag if answer.is_ok else "v1"
        old = [etag for etag in credential.old_etags if etag != fresh]
        if old and self.chance(0.5):
            return self.random.choice(old), True
        return fresh, False

    def living_errors(self, credential, is_stale=False):
        return [DELETED] * (credential.deleted is not None) + [STALE] * is_stale + \
            [NO_CREDENTIAL] * credential.is_due

    def some_contact(self):
        return self.random.choice(["", "Ann <ann@example.com>", "Ben"])

    def some_labels(self):
        return {key: self.random.choice("ab") for key in ("team", "env", "0") if self.chance(0.4)}

    def some_addresses(self):
        """Networks in their order and spelling, most often this host's among them, and whether they are only observed."""
        networks = self.random.choice([(), (), ("127.0.0.0/8",), ("10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32")])
        if self.chance(0.1):
            networks = ("10.0.0.0/8",)
        return networks, bool(networks) and self.chance(0.3)

    def some_limits(self):
        """Most often of some, and whether one is wrong."""
        choices = {"idle": [MINUTE, 5 * MINUTE, HOUR, 30 * DAY], "cap": [2 * MINUTE, HOUR, DAY], "max_tokens": [1, 2, 5],
                   "an_hour": [1, 3, 60]}
        bad = {"idle": [MINUTE - SECOND, 30 * DAY + SECOND], "cap": [MINUTE - SECOND, 3651 * DAY], "max_tokens": [-1, 1_000_001],
               "an_hour": [-1, 1_000_001]}
        names = [name for name in LIMITS if self.chance(0.4)]
        values = {name: self.random.choice(choices[name]) for name in names}
        is_bad = bool(names) and self.chance(0.04)
        if is_bad:
            values[names[0]] = self.random.choice(bad[names[0]])
        return Limits(**values, observed=frozenset(name for name in names if self.chance(0.3))), is_bad

    def step_create(self):
        rng, model = self.random, self.model
        if sum(not c.deleted for c in model.credentials.values()) > 30:
            return self.step_delete()
        self.made += 1
        taken = self.pick() if self.chance(0.05) else None
        is_past, is_dry, roles = self.chance(0.04), self.chance(0.08), self.pick_roles()
        expires = random_expiry(rng, self.clock.read(), is_past) if is_past or self.chance(0.35) else None
        owner = rng.choice(USERS) if self.chance(0.5) else ""
        request = pb.CreateCredentialRequest(
            credential=pb.Credential(name=taken.name if taken else f"c{self.made}", owner=owner,
                                     self_rotation=self.chance(0.7), contact=self.some_contact(), labels=self.some_labels()),
            roles=roles,
            request_id=f"r{self.made}" if self.chance(0.3) else "", validate_only=is_dry)
        if expires:
            request.credential.expire_time.FromMicroseconds(expires)
        if self.chance(0.3):
            put_addresses(request.credential, self.some_addresses())
        limits, is_bad = self.some_limits() if self.chance(0.4) else (Limits(), False)
        put_limits(request.credential, limits)
        self.note(f"create {request}")
        answer = self.admin("CreateCredential", request)
        errors = self.role_errors(roles, True) + [TAKEN] * (taken is not None) + [INVALID] * (is_past or is_bad)
        if not self.judge("create", answer, errors):
            return
        message = answer.value.credential
        credential = Credential(message.client_id, request.credential.name, owner, expires, roles)
        self.expect(is_dry == (answer.value.secret_key == ""), "the secret key is shown once, not with validate_only")
        credential.secrets = [Secret(secret.secret_id, answer.value.secret_key) for secret in message.secrets]
        self.expect(len(credential.secrets) == (not is_dry) and bool(message.client_id) != is_dry,
                    "a credential that is made has a client ID and a secret key; with validate_only there is neither", message)
        credential.self_rotation = request.credential.self_rotation
        credential.contact, credential.labels = request.credential.contact, dict(request.credential.labels)
        credential.addresses = tuple(reversed(request.credential.addresses.networks)), request.credential.addresses.observe_only
        credential.limits = limits
        if not is_dry:
            self.expect(message.client_id not in model.credentials, "a client ID twice")
            model.credentials[message.client_id] = credential
            if request.request_id:
                self.requests[request.request_id] = ("CreateCredential", request, credential, answer.now)
        self.same_credential(message, credential, answer.now)

    def step_repeat(self):
        """A request_id that came before."""
        if not self.requests:
            return
        request_id = self.random.choice(sorted(self.requests))
        method, request, credential, at = self.requests[request_id]
        if passed(self.clock_span(), at.plus(23 * HOUR)) is not False or credential.is_due:
            del self.requests[request_id]
            return
        is_other = self.chance(0.3)
        if is_other:
            request = copy.deepcopy(request)
            (request.credential if method == "CreateCredential" else request.overlap).SetInParent()
            request.validate_only = not request.validate_only
        self.note(f"repeat {method} {request_id}, with another request: {is_other}")
        answer = self.admin(method, request)
        if self.judge("repeat", answer, [REUSED] * is_other + [NO_CREDENTIAL] * credential.is_due):
            self.expect(answer.value.secret_key == "", "a secret key is shown again")
            self.same_credential(answer.value.credential, credential, answer.now)

    def clock_span(self):
        now = self.clock.read()
        return Span(now, now)

    def step_get(self, credential=None):
        credential = credential or self.pick(is_deleted=self.chance(0.2))
        client_id = credential.client_id if credential else NOBODY
        self.note(f"get {client_id}")
        answer = self.admin("GetCredential", pb.GetCredentialRequest(client_id=client_id))
        if credential is None:
            self.judge("get", answer, [NO_CREDENTIAL])
        elif self.found("get", credential, answer) and self.judge("get", answer, ()):
            self.same_credential(answer.value.credential, credential, answer.now)
            self.same_observed(answer.value.credential, credential)

    def step_list(self):
        rng, model = self.random, self.model
        role, owner = rng.choice(sorted(model.roles)), rng.choice(USERS)
        tests = {
            "": lambda c, now: not c.deleted,
            "status=any": lambda c, now: True,
            "status=deleted": lambda c, now: bool(c.deleted),
            "status=active": lambda c, now: not3(c.is_expired(now)) if not c.deleted and not c.suspended else False,
            "status=expired": lambda c, now: c.is_expired(now) if not c.deleted and not c.suspended else False,
            "status=suspended": lambda c, now: c.suspended and not c.deleted,
            f"role={role}": lambda c, now: not c.deleted and role in model.effective(c),
            f"granted={role}": lambda c, now: not c.deleted and role in c.granted(),
            f"owner={owner}": lambda c, now: not c.deleted and c.owner == owner,
            'name:"C1"': lambda c, now: not c.deleted and "c1" in c.name.lower(),
            "contact:ann": lambda c, now: not c.deleted and "ann" in c.contact.lower(),
            "labels.team=a": lambda c, now: not c.deleted and c.labels.get("team") == "a",
            'labels.env:""': lambda c, now: not c.deleted and "env" in c.labels,
        }
        text = rng.choice(sorted(tests))
        self.note(f"list {text!r}")
        got, page = [], ""
        while True:  # small pages, so that they are many
            answer = self.admin("ListCredentials",
                                pb.ListCredentialsRequest(filter=text, page_size=7, page_token=page))
            self.expect(answer.is_ok, "ListCredentials", answer.outcome)
            got += answer.value.credentials
            page = answer.value.next_page_token
            if not page:
                break
        self.counts["list"] += 1
        states = {c.client_id: tests[text](c, answer.now) for c in model.credentials.values()}
        sure = {i for i, state in states.items() if state and not model.credentials[i].is_due}
        may = {i for i, state in states.items() if state is not False}
        ids = [message.client_id for message in got]
        self.expect(len(ids) == len(set(ids)) and sure <= set(ids) <= may, f"list {text!r}", set(ids) - may,
                    sure - set(ids))
        self.expect([m.name.lower() for m in got] == sorted(m.name.lower() for m in got), "the list is not sorted")
        for message in got:
            self.same_credential(message, model.credentials[message.client_id], answer.now)

    def step_update(self, limited=None):
        """Of `limited` the limits first of all."""
        rng, model = self.random, self.model
        credential = limited or self.pick(is_deleted=self.chance(0.05))
        if credential is None or credential is self.administrator:
            return
        expired = [c for c in model.credentials.values() if not c.deleted and c.is_expired(self.clock_span())]
        if expired and not limited and self.chance(0.3):
            credential = rng.choice(expired)
        etag, is_stale = self.etag_for(credential)
        is_dry, errors, fields = self.chance(0.15), [], {}
        if self.chance(0.4):
            taken = self.pick() if self.chance(0.1) else None
            self.made += 1
            fields["name"] = taken.name if taken else f"c{self.made}"
            errors += [TAKEN] * (taken not in (None, credential))
        if self.chance(0.4):
            fields["owner"] = rng.choice(USERS + ["", credential.owner])
        if self.chance(0.3):
            fields["contact"] = self.some_contact()
        if self.chance(0.3):
            fields["labels"] = self.some_labels()
        if self.chance(0.3):
            fields["addresses"] = self.some_addresses()
        if self.chance(0.9 if limited else 0.4):
            fields["limits"], is_bad = self.some_limits()
            errors += [INVALID] * is_bad
        if self.chance(0.4) or not fields:
            fields["expires"] = None if self.chance(0.4) else random_expiry(rng, self.clock.read(), self.chance(0.2))
        request = pb.UpdateCredentialRequest(
            credential=pb.Credential(client_id=credential.client_id, etag=etag, name=fields.get("name", "ignored"),
                                     owner=fields.get("owner", "ignored"), contact=fields.get("contact", "ignored"),
                                     labels=fields.get("labels", {"ignored": "x"})), validate_only=is_dry,
            update_mask=FieldMask(paths=[{"expires": "expire_time"}.get(field, field) for field in fields]))
        if fields.get("expires"):
            request.credential.expire_time.FromMicroseconds(fields["expires"])
        put_addresses(request.credential, fields.get("addresses", ((), False)))
        put_limits(request.credential, fields.get("limits", Limits()))
        self.note(f"update {credential.name}: {fields} dry {is_dry} stale {is_stale}")
        answer = self.admin("UpdateCredential", request)
        if not self.found("update", credential, answer) or \
                not self.judge("update", answer, errors + self.living_errors(credential, is_stale)):
            return
        wanted = copy.copy(credential)
        self.same_impact("update", answer.value.impact, model.update(answer.now, credential, fields, is_dry))
        for field, value in fields.items():
            setattr(wanted, field, value)
        self.same_credential(answer.value.credential, wanted if is_dry else credential, answer.now)

    def step_delete(self):
        credential = self.pick(is_deleted=self.chance(0.05))
        if credential is None:
            return
        others = [c for c in self.model.administrators(self.clock_span()) if c is not self.administrator]
        if credential is self.administrator and others:
            return
        etag, is_stale = self.etag_for(credential)
        is_dry = self.chance(0.15)
        self.note(f"delete {credential.name} dry {is_dry} stale {is_stale}")
        answer = self.admin("DeleteCredential", pb.DeleteCredentialRequest(
            client_id=credential.client_id, etag=etag, validate_only=is_dry))
        errors = self.living_errors(credential, is_stale) + [LAST] * (credential is self.administrator)
        if self.found("delete", credential, answer) and self.judge("delete", answer, errors):
            self.same_impact("delete", answer.value.impact, self.model.delete(answer.now, credential, is_dry))

    def step_undelete(self):
        credential = self.pick(is_deleted=self.chance(0.95))
        if credential is None:
            return
        is_taken = credential.deleted and self.model.named(credential.name)
        self.note(f"undelete {credential.name}")
        answer = self.admin("UndeleteCredential", pb.UndeleteCredentialRequest(client_id=credential.client_id))
        errors = [TAKEN] if is_taken else [] if credential.deleted else [("FAILED_PRECONDITION", "NOT_DELETED")]
        if self.found("undelete", credential, answer) and self.judge("undelete", answer, errors):
            credential.deleted, credential.is_due = None, False
            self.same_credential(answer.value.credential, credential, answer.now)

    def step_suspend(self):
        """Or resumes: so that most of them are in use."""
        suspended = [c for c in self.model.credentials.values() if c.suspended]
        if suspended and self.chance(0.6):
            self.resume(self.random.choice(suspended))
            return
        credential = self.pick(is_deleted=self.chance(0.05))
        if credential is None:
            return
        etag, is_stale = self.etag_for(credential)
        is_dry = self.chance(0.15)
        self.note(f"suspend {credential.name} dry {is_dry} stale {is_stale}")
        answer = self.admin("SuspendCredential", pb.SuspendCredentialRequest(
            client_id=credential.client_id, etag=etag, validate_only=is_dry))
        errors = self.living_errors(credential, is_stale) + [OWN] * (credential is self.administrator)
        if self.found("suspend", credential, answer) and self.judge("suspend", answer, errors):
            self.same_impact("suspend", answer.value.impact, self.model.suspend(answer.now, credential, is_dry))
            if not is_dry:
                self.same_credential(answer.value.credential, credential, answer.now)

    def resume(self, credential):
        self.note(f"resume {credential.name}")
        answer = self.admin("ResumeCredential", pb.ResumeCredentialRequest(client_id=credential.client_id))
        if self.found("resume", credential, answer) and self.judge("resume", answer, self.living_errors(credential)):
            credential.suspended = False
            self.same_credential(answer.value.credential, credential, answer.now)

    def step_regenerate(self):
        rng, model = self.random, self.model
        credential = self.pick(is_deleted=self.chance(0.05))
        if credential is None:
            return
        etag, is_stale = self.etag_for(credential)
        overlap = rng.choice([0, 0, 10 * MINUTE, HOUR, 30 * DAY, 30 * DAY + SECOND])
        self.made += 1
        request = pb.RegenerateSecretRequest(client_id=credential.client_id, etag=etag, validate_only=self.chance(0.15),
                                             request_id=f"r{self.made}" if self.chance(0.3) else "")
        request.overlap.seconds = overlap // SECOND
        self.note(f"regenerate {credential.name}: overlap {overlap // SECOND} s dry {request.validate_only}")
        answer = self.admin("RegenerateSecret", request)
        errors = [INVALID] * (overlap > 30 * DAY) + self.living_errors(credential, is_stale)
        if not self.found("regenerate", credential, answer) or not self.judge("regenerate", answer, errors):
            return
        message, key = answer.value.credential, answer.value.secret_key
        secret = None if request.validate_only else Secret(message.secrets[0].secret_id, key)
        self.expect(bool(key) == (secret is not None), "the secret key is shown once, not with validate_only")
        self.same_impact("regenerate", answer.value.impact, model.regenerate(answer.now, credential, overlap, secret))
        if secret:
            self.same_credential(message, credential, answer.now)
        if secret and request.request_id:
            self.requests[request.request_id] = ("RegenerateSecret", request, credential, answer.now)

    def step_end_secret(self):
        credential = self.pick()
        if credential is None or credential is self.administrator:
            return
        secret = self.random.choice(credential.secrets)
        if len(credential.live_secrets(self.clock_span())) < 2 and self.chance(0.7):
            return
        self.note(f"end secret {secret.secret_id} of {credential.name}")
        answer = self.admin("EndSecret", pb.EndSecretRequest(client_id=credential.client_id,
                                                             secret_id=secret.secret_id))
        state = secret.is_live(answer.now)
        errors = [("NOT_FOUND", "NO_SUCH_SECRET")] * (state is not True) + [("OK", "")] * (state is None)
        if self.judge("end secret", answer, errors):
            secret.ends = answer.now
            self.same_credential(answer.value.credential, credential, answer.now)

    def step_change_roles(self):
        credential = self.pick(is_deleted=self.chance(0.05))
        if credential is None:
            return
        is_grant, is_dry, roles = self.chance(0.5), self.chance(0.15), self.pick_roles()
        others = [c for c in self.model.administrators(self.clock_span()) if c is not self.administrator]
        if credential is self.administrator and others:
            return
        etag, is_stale = self.etag_for(credential)
        errors = self.living_errors(credential, is_stale) + self.role_errors(roles, is_grant)
        if credential is self.administrator:
            roles = ["user_manager"] if not is_grant else roles
            if is_grant or self.chance(0.5):
                return
            errors = [STALE] * is_stale + [LAST]
        method = "GrantRoles" if is_grant else "RevokeRoles"
        self.note(f"{method} {credential.name}: {roles} dry {is_dry} stale {is_stale}")
        answer = self.admin(method, getattr(pb, method + "Request")(
            client_id=credential.client_id, roles=roles, etag=etag, validate_only=is_dry))
        if self.found(method, credential, answer) and self.judge(method, answer, errors):
            ended = self.model.grant(answer.now, credential, roles, is_grant, is_dry)
            self.same_impact(method, answer.value.impact, ended)
            if not is_dry:
                self.same_credential(answer.value.credential, credential, answer.now)
