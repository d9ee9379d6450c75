# SPDX-License-Identifier: Apache-2.0
"""Two administrators, and a hundred, at once: nothing is lost, nothing is done twice, some order explains the end."""
import random
import time
import unittest

from daemon import Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from support import AdminTest

STALE = ("ABORTED", "STALE_ETAG")
LAST = ("FAILED_PRECONDITION", "LAST_ADMINISTRATOR")
DELETED = ("FAILED_PRECONDITION", "CREDENTIAL_DELETED")
GRANTABLE = ["work_creator", "work_assigner", "team_leader", "service_agent"]


def is_error(value):
    return isinstance(value, tuple)


class TwoAdministrators(AdminTest):
    def test_a_stale_etag_is_refused_and_changes_nothing(self):
        credential, secret = self.create("stale")
        token = self.issue(credential, secret).access_token
        stale = credential.etag
        self.update(credential, "name", name="stale no more", etag=stale)
        before = self.get(credential)
        client_id = credential.client_id
        for method, fields in [("DeleteCredential", {}), ("RegenerateSecret", {}),
                               ("GrantRoles", dict(roles=["team_leader"])),
                               ("RevokeRoles", dict(roles=["work_creator"]))]:
            with self.subTest(method):
                self.refused(method, STALE, client_id=client_id, etag=stale, **fields)
                self.refused(method, STALE, client_id=client_id, etag=stale, validate_only=True, **fields)
        self.refused("UpdateCredential", STALE, update_mask=FieldMask(paths=["name"]),
                     credential=pb.Credential(client_id=client_id, name="other", etag=stale))
        after = self.get(credential)
        self.assertEqual(after, before)
        self.assertTrue(self.is_active(token))
        self.admin("DeleteCredential", client_id=client_id, etag=after.etag)

    def test_of_a_hundred_changes_by_one_etag_exactly_one_is_made(self):
        credential, _ = self.create("one of a hundred")
        answers = self.in_parallel([
            lambda i=i: self.update(credential, "name", name=f"name {i}", etag=credential.etag).credential.name
            for i in range(100)])
        made = [answer for answer in answers if not is_error(answer)]
        self.assertEqual(len(made), 1)
        self.assertEqual([answer for answer in answers if is_error(answer)], [STALE] * 99)
        self.assertEqual(self.get(credential).name, made[0])

    def test_of_a_hundred_of_one_name_exactly_one_is_made(self):
        answers = self.in_parallel([lambda: self.create("one name")[0] for _ in range(100)])
        self.assertEqual(sum(is_error(answer) for answer in answers), 99)
        self.assertEqual({answer for answer in answers if is_error(answer)}, {("ALREADY_EXISTS", "NAME_TAKEN")})
        self.assertEqual(self.admin("ListCredentials", filter='name:"one name"').total_size, 1)


class Shared(AdminTest):
    """A hundred grants, revokes, regenerations and deletions of a few credentials at once, many times."""

    def test_some_order_explains_what_a_hundred_calls_at_once_leave(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        for number in range(6):
            self.one_round(random.Random(seed + number), number)

    def one_round(self, rng, number):
        made = [self.create(f"shared {number} {i}", GRANTABLE[:2]) for i in range(3)]
        tokens = {c.client_id: [self.issue(c, secret) for _ in range(5)] for c, secret in made}
        acts = [self.act(rng, rng.choice(made)[0].client_id, may_delete=i % 50 == 49) for i in range(100)]
        results = self.in_parallel([lambda act=act: self.admin(act[0], **act[1]) for act in acts])
        for credential, secret in made:
            own = [(method, fields, result) for (method, fields), result in zip(acts, results)
                   if fields["client_id"] == credential.client_id]
            self.explain(credential, secret, own, tokens[credential.client_id])
        self.assertTrue(self.admin("VerifyAuditLog").intact)

    def act(self, rng, client_id, may_delete):
        fields = dict(client_id=client_id)
        if may_delete:
            return "DeleteCredential", fields
        method = rng.choice(["GrantRoles", "RevokeRoles", "GrantRoles", "RevokeRoles", "RegenerateSecret"])
        if method == "RegenerateSecret":
            return method, dict(fields, overlap=Duration(seconds=rng.choice([0, 60])))
        return method, dict(fields, roles=[rng.choice(GRANTABLE)])

    def explain(self, credential, secret, own, tokens):
        """The etag that each answer carries is the credential's version after it: the order of what was done."""
        done = [(int(result.credential.etag[1:]), method, fields, result) for method, fields, result in own
                if not is_error(result)]
        refused = {result for _, _, result in own if is_error(result)}
        self.assertLessEqual(refused, {DELETED})
        granted, keys, is_deleted, version, alive = set(GRANTABLE[:2]), [secret], False, 1, len(tokens)
        while done:
            # Of those that end with the next version one made it; the others came after it and changed nothing.
            after = min(item[0] for item in done)
            same = [item for item in done if item[0] == after]
            # Where two are the same call, the one that ended tokens did it.
            changes = [item for item in same if self.is_change(item, granted)]
            item = max(changes, key=lambda item: item[3].impact.tokens_ended) if changes else same[0]
            done.remove(item)
            _, method, fields, result = item
            before, is_change = set(granted), self.is_change(item, granted)
            role = fields.get("roles", [None])[0]
            if method == "GrantRoles":
                granted.add(role)
            elif method == "RevokeRoles":
                granted.discard(role)
            elif method == "RegenerateSecret":
                keys = [result.secret_key] + (keys[:1] if fields["overlap"].seconds else [])
            else:
                is_deleted = True
            version += is_change
            self.assertEqual(after, version, f"no order explains {method} {role}")
            self.assertEqual(set(result.credential.effective_roles), granted)
            kills = granted != before or method == "DeleteCredential" or \
                method == "RegenerateSecret" and not fields["overlap"].seconds
            self.assertEqual(result.impact.tokens_ended, alive if kills else 0, f"{method} {role}")
            alive = 0 if kills else alive
        self.compare(credential, granted, keys, is_deleted, tokens, alive)

    def is_change(self, item, granted):
        _, method, fields, _ = item
        if method in ("GrantRoles", "RevokeRoles"):
            return (fields["roles"][0] in granted) == (method == "RevokeRoles")
        return True

    def compare(self, credential, granted, keys, is_deleted, tokens, alive):
        message = self.get(credential)
        self.assertEqual(set(message.effective_roles), granted)
        self.assertEqual(message.HasField("delete_time"), is_deleted)
        self.assertEqual([secret.hint for secret in message.secrets], [key[-4:] for key in keys])
        self.assertEqual(sum(self.is_active(token.access_token) for token in tokens), alive)
        for key in keys:
            if is_deleted:
                self.assertEqual(error_of(lambda: self.issue(credential, key))[:2],
                                 ("UNAUTHENTICATED", "INVALID_CLIENT"))
            else:
                self.assertEqual(set(self.issue(credential, key).scopes), granted)

    def test_no_token_survives_a_revocation_that_was_acknowledged_while_tokens_were_issued(self):
        credential, secret = self.create("race", ("work_creator", "team_leader"))
        for _ in range(20):
            self.admin("GrantRoles", client_id=credential.client_id, roles=["team_leader"])
            calls = [lambda: self.issue(credential, secret) for _ in range(20)]
            calls.insert(10, lambda: self.admin("RevokeRoles", client_id=credential.client_id, roles=["team_leader"]))
            tokens = self.in_parallel(calls)
            later = self.issue(credential, secret)
            self.assertEqual(list(later.scopes), ["work_creator"])
            for token in tokens[:10] + tokens[11:]:
                answer = self.daemon.introspect(self.token, token.access_token)
                if answer.active:
                    self.assertEqual((list(answer.roles), list(token.scopes)), (["work_creator"], ["work_creator"]))


class Repeated(AdminTest):
    def test_a_repeated_request_id_makes_one_credential(self):
        request = dict(credential=pb.Credential(name="repeated"), roles=["work_creator"], request_id="a-1")
        answers = self.in_parallel([lambda: self.admin("CreateCredential", **request) for _ in range(100)])
        self.assertEqual(len({answer.credential.client_id for answer in answers}), 1)
        keys = [answer.secret_key for answer in answers if answer.secret_key]
        self.assertEqual(len(keys), 1)
        self.assertEqual(self.admin("ListCredentials", filter="name:repeated").total_size, 1)
        self.assertTrue(self.issue(answers[0].credential, keys[0]).access_token)
        self.refused("CreateCredential", ("ABORTED", "REQUEST_ID_REUSED"), credential=pb.Credential(name="another"),
                     roles=["work_creator"], request_id="a-1")

    def test_a_repeated_request_id_makes_one_secret_key_also_after_a_crash(self):
        credential, _ = self.create("regenerated")
        request = dict(client_id=credential.client_id, request_id="b-1", overlap=Duration(seconds=600))
        answers = self.in_parallel([lambda: self.admin("RegenerateSecret", **request) for _ in range(100)])
        keys = [answer.secret_key for answer in answers if answer.secret_key]
        self.assertEqual(len(keys), 1)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.admin("RegenerateSecret", **request).secret_key, "")
        message = self.get(credential)
        self.assertEqual([message.secrets[0].hint, len(message.secrets)], [keys[0][-4:], 2])
        self.refused("RegenerateSecret", ("ABORTED", "REQUEST_ID_REUSED"), client_id=credential.client_id,
                     request_id="b-1")

    def test_a_request_id_is_one_callers_own(self):
        other, secret = self.create("another administrator", ("user_manager",))
        token = self.issue(other, secret).access_token
        request = dict(roles=["work_creator"], request_id="c-1")
        mine = self.admin("CreateCredential", credential=pb.Credential(name="mine"), **request)
        theirs = self.admin("CreateCredential", token=token, credential=pb.Credential(name="theirs"), **request)
        self.assertNotEqual(mine.credential.client_id, theirs.credential.client_id)
        self.admin("DeleteCredential", client_id=other.client_id)

    def test_what_failed_was_not_done_and_can_be_tried_again(self):
        self.create("in the way")
        request = dict(credential=pb.Credential(name="in the way"), roles=["work_creator"], request_id="d-1")
        self.refused("CreateCredential", ("ALREADY_EXISTS", "NAME_TAKEN"), **request)
        first = self.admin("ListCredentials", filter='name:"in the way"').credentials[0]
        self.update(first, "name", name="out of it")
        self.assertTrue(self.admin("CreateCredential", **request).secret_key)


class LastAdministrator(unittest.TestCase):
    def test_the_last_user_manager_cannot_be_taken_away(self):
        for act in (self.delete, self.revoke, self.expire, self.expire_soon, self.give_to_nobody, self.end_key):
            with self.subTest(act.__name__), Daemon({"http_address": ""}) as daemon:
                metadata = Daemon.bearer(daemon.admin_token())
                self.assertEqual(error_of(lambda: act(daemon, daemon.client_id, metadata))[:2], LAST)
                self.assertTrue(daemon.introspect(metadata[0][1][7:], metadata[0][1][7:]).active)

    def test_another_one_counts_if_somebody_can_get_in_with_it_for_another_day(self):
        with Daemon({"http_address": ""}) as daemon:
            token = daemon.admin_token()
            metadata = Daemon.bearer(token)
            other = daemon.create(token, "other", ("user_manager",))
            client_id = other.credential.client_id
            # It has no key.
            self.end_key(daemon, client_id, metadata)
            self.assertEqual(error_of(lambda: self.delete(daemon, daemon.client_id, metadata))[:2], LAST)
            self.assertEqual(error_of(lambda: self.end_key(daemon, daemon.client_id, metadata))[:2], LAST)
            # It expires in an hour; then in two days.
            request = pb.RegenerateSecretRequest(client_id=client_id)
            secret = daemon.admin.RegenerateSecret(request, metadata=metadata).secret_key
            self.expire_in(daemon, client_id, metadata, 3600)
            self.assertEqual(error_of(lambda: self.delete(daemon, daemon.client_id, metadata))[:2], LAST)
            self.expire_in(daemon, client_id, metadata, 2 * 86400)
            # Its lasting key is an overlap of an hour; then the new one lasts.
            request.overlap.seconds = 3600
            daemon.admin.RegenerateSecret(request, metadata=metadata)
            secrets = daemon.admin.GetCredential(pb.GetCredentialRequest(client_id=client_id), metadata=metadata)
            newest, old = secrets.credential.secrets
            end = pb.EndSecretRequest(client_id=client_id, secret_id=newest.secret_id)
            daemon.admin.EndSecret(end, metadata=metadata)
            self.assertEqual(error_of(lambda: self.delete(daemon, daemon.client_id, metadata))[:2], LAST)
            request.ClearField("overlap")
            secret = daemon.admin.RegenerateSecret(request, metadata=metadata).secret_key
            self.delete(daemon, daemon.client_id, metadata)
            self.assertTrue(self.is_administrator(daemon, client_id, secret))
            # What is left expires in two days, and so may expire in three; sooner than in a day, never.
            metadata = Daemon.bearer(daemon.issue(client_id, secret).access_token)
            self.expire_in(daemon, client_id, metadata, 3 * 86400)
            for seconds in (2, 3600, 86000):
                self.assertEqual(error_of(lambda: self.expire_in(daemon, client_id, metadata, seconds))[:2], LAST)

    def test_of_one_that_has_less_than_a_day_the_rest_is_kept(self):
        with Daemon({"http_address": ""}, clock=True) as daemon:
            metadata = Daemon.bearer(daemon.admin_token())
            self.expire_in(daemon, daemon.client_id, metadata, 86400 + 3600)
            daemon.pass_time(7200)
            metadata = Daemon.bearer(daemon.admin_token())
            for act in (self.delete, self.revoke, self.expire, self.end_key):
                self.assertEqual(error_of(lambda: act(daemon, daemon.client_id, metadata))[:2], LAST)
            self.expire_in(daemon, daemon.client_id, metadata, 7200 + 3600)  # sooner, and still some
            other = daemon.create(metadata[0][1][7:], "other", ("user_manager",))
            self.delete(daemon, daemon.client_id, metadata)
            self.assertTrue(self.is_administrator(daemon, other.credential.client_id, other.secret_key))

    def test_nor_by_its_owner(self):
        with Daemon({"http_address": ""}) as daemon:
            token = daemon.admin_token()
            metadata = Daemon.bearer(token)
            owned = daemon.create(token, "owned", ("user_manager",), owner="boss")
            request = pb.SetUserRolesRequest(user="boss", roles=["user_manager"])
            daemon.admin.SetUserRoles(request, metadata=metadata)
            metadata = Daemon.bearer(daemon.issue(owned.credential.client_id, owned.secret_key).access_token)
            self.delete(daemon, daemon.client_id, metadata)
            request.ClearField("roles")
            self.assertEqual(error_of(lambda: daemon.admin.SetUserRoles(request, metadata=metadata))[:2], LAST)
            self.assertEqual(error_of(lambda: daemon.admin.DeleteUser(pb.DeleteUserRequest(user="boss"),
                                                                      metadata=metadata))[:2], LAST)
            self.assertEqual(list(daemon.admin.GetUser(pb.GetUserRequest(user="boss"), metadata=metadata).user.roles),
                             ["user_manager"])

    def test_parallel_attempts_on_all_of_them_leave_one(self):
        for act in (self.delete, self.revoke, self.expire, self.give_to_nobody, self.end_key):
            with self.subTest(act.__name__), Daemon({"http_address": ""}) as daemon:
                token = daemon.admin_token()
                made = [daemon.create(token, f"admin {i}", ("user_manager",)) for i in range(15)]
                callers = [Daemon.bearer(daemon.issue(m.credential.client_id, m.secret_key).access_token) for m in made]
                ids = [m.credential.client_id for m in made] + [daemon.client_id]
                calls = [lambda client_id=client_id, caller=caller: act(daemon, client_id, caller)
                         for client_id in ids for caller in callers[::4]]
                random.shuffle(calls)
                AdminTest.in_parallel(self, calls)
                left = [m for m in made if self.is_administrator(daemon, m.credential.client_id, m.secret_key)]
                left += [1] * self.is_administrator(daemon, daemon.client_id, daemon.secret)
                self.assertGreaterEqual(len(left), 1)  # more where the callers took the role from each other first

    def is_administrator(self, daemon, client_id, secret):
        try:
            token = daemon.issue(client_id, secret)
        except Exception:
            self.assertIn(error_of(lambda: daemon.issue(client_id, secret))[1], ("INVALID_CLIENT", "TOO_MANY_FAILURES"))
            return False
        return "user_manager" in token.scopes

    def delete(self, daemon, client_id, metadata):
        return daemon.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=client_id), metadata=metadata)

    def revoke(self, daemon, client_id, metadata):
        return daemon.admin.RevokeRoles(pb.RevokeRolesRequest(client_id=client_id, roles=["user_manager"]),
                                        metadata=metadata)

    def expire(self, daemon, client_id, metadata):
        request = pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id),
                                             update_mask=FieldMask(paths=["expire_time"]))
        request.credential.expire_time.seconds = 1
        return daemon.admin.UpdateCredential(request, metadata=metadata)

    def expire_in(self, daemon, client_id, metadata, seconds):
        request = pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id),
                                             update_mask=FieldMask(paths=["expire_time"]))
        request.credential.expire_time.seconds = int(time.time()) + seconds
        return daemon.admin.UpdateCredential(request, metadata=metadata)

    def expire_soon(self, daemon, client_id, metadata):
        return self.expire_in(daemon, client_id, metadata, 2)

    def end_key(self, daemon, client_id, metadata):
        credential = daemon.admin.GetCredential(pb.GetCredentialRequest(client_id=client_id), metadata=metadata).credential
        for secret in credential.secrets:
            request = pb.EndSecretRequest(client_id=client_id, secret_id=secret.secret_id)
            daemon.admin.EndSecret(request, metadata=metadata)

    def give_to_nobody(self, daemon, client_id, metadata):
        return daemon.admin.UpdateCredential(pb.UpdateCredentialRequest(
            credential=pb.Credential(client_id=client_id, owner="nobody known"),
            update_mask=FieldMask(paths=["owner"])), metadata=metadata)


if __name__ == "__main__":
    unittest.main()
