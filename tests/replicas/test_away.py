# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL goes away and comes back: what is answered meanwhile, that nothing acknowledged is lost, and that recovery
needs nobody."""
import concurrent.futures
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import grpc
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.rpc import error_details_pb2, status_pb2

from daemon import Daemon, error_of
from replicas import AWAY, Replicas, eventually

CONNECTIONS = 4  # of one replica: one writes, two read, one follows


def retry_delay(error):
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for detail in status_pb2.Status.FromString(details).details:
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return retry.retry_delay.ToMilliseconds()
    return 0


def http(daemon, path, form=None):
    """(code, Retry-After, body)."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(daemon.http + path, data, timeout=60) as response:
            return response.status, None, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"], error.read().decode()


class Away(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(1))
        self.daemon, self.network = self.replicas.daemons[0], self.replicas.networks[0]
        self.caller = self.daemon.admin_token()
        self.client = self.daemon.create(self.caller, "client")

    def issue(self):
        return self.daemon.issue(self.client.credential.client_id, self.client.secret_key).access_token

    def is_back(self):
        try:
            return self.daemon.auth.IssueToken(auth.IssueTokenRequest(
                client_id=self.client.credential.client_id, client_secret=self.client.secret_key), timeout=5)
        except grpc.RpcError as error:
            self.assertIn(error.code(), AWAY)
            return False

    def form(self):
        return {"grant_type": "client_credentials", "client_id": self.client.credential.client_id,
                "client_secret": self.client.secret_key}

    def expect_away(self, token):
        with self.assertRaises(grpc.RpcError) as raised:
            self.daemon.introspect(self.caller, token)
        self.assertEqual(error_of(lambda: self.daemon.introspect(self.caller, token))[:2], ("UNAVAILABLE", "STORE_UNAVAILABLE"))
        self.assertEqual(retry_delay(raised.exception), 1000)
        self.assertEqual(error_of(self.issue)[:2], ("UNAVAILABLE", "STORE_UNAVAILABLE"))
        self.assertEqual(error_of(lambda: self.daemon.create(self.caller, "x"))[:2], ("UNAVAILABLE", "STORE_UNAVAILABLE"))
        code, retry_after, body = http(self.daemon, "/OAuth/Token", self.form())
        self.assertEqual((code, retry_after), (503, "1"), body)

    def test_what_is_answered_while_connections_are_refused_and_after(self):
        token = self.issue()
        self.assertTrue(self.daemon.introspect(self.caller, token).active)
        self.assertEqual(http(self.daemon, "/readyz")[0], 200)
        before = self.network.connections()
        self.network.set("refuse")
        begin = time.monotonic()
        eventually(lambda: self.answer(token) != "active")  # from memory, while the lease lasts
        print(f"the last answer from memory came {time.monotonic() - begin:.2f} s after the cut; the lease is 1 s")
        self.expect_away(token)
        eventually(lambda: http(self.daemon, "/readyz")[0] == 503)
        eventually(lambda: self.health() == "NOT_SERVING")
        tried = self.network.connections()
        eventually(lambda: self.network.connections() - tried >= 3)  # it goes on trying
        self.assertEqual(self.answer(token), "UNAVAILABLE")
        begin, tries = time.monotonic() - begin, self.network.connections() - before
        self.assertLess(tries, CONNECTIONS * (begin / 0.2 + 1), "a storm of connections")
        self.network.set("pass")
        print(f"recovery took {eventually(self.is_back):.2f} s")
        print(f"and for introspections {eventually(lambda: self.answer(token) == 'active'):.2f} s more")
        eventually(lambda: http(self.daemon, "/readyz")[0] == 200)
        eventually(lambda: self.health() == "SERVING")
        eventually(lambda: int(self.replicas.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatehoused'")) <= CONNECTIONS)

    def answer(self, token):
        try:
            return "active" if self.daemon.introspect(self.caller, token).active else "inactive"
        except grpc.RpcError as error:
            return error.code().name

    def health(self):
        answer = self.daemon.channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
        return {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}[answer]

    def test_a_database_that_does_not_answer_is_given_up_and_found_again(self):
        self.daemon.stop()
        self.daemon.settings["store_timeout_ms"] = "500"
        self.daemon.start()
        token = self.issue()
        self.network.set("hole")
        eventually(lambda: self.answer(token) == "UNAVAILABLE")
        self.expect_away(token)
        self.network.set("pass")
        eventually(self.is_back)
        eventually(lambda: self.answer(token) == "active")

    def test_nothing_acknowledged_is_lost_when_postgresql_is_killed_again_and_again(self):
        live, ended = [], []
        for _ in range(5):
            for _ in range(20):
                live.append(self.issue())
            for _ in range(5):
                self.daemon.auth.Revoke(auth.RevokeRequest(token=live[0]), metadata=Daemon.bearer(live[0]), timeout=60)
                ended.append(live.pop(0))
            self.replicas.postgres.process.kill()  # its children notice, and go
            self.replicas.postgres.process.wait()
            eventually(lambda: self.restarted())
            eventually(self.is_back)
        states = {token: self.daemon.introspect(self.caller, token).active for token in live + ended}
        self.assertEqual({states[token] for token in live}, {True})
        self.assertEqual({states[token] for token in ended}, {False})
        self.daemon.kill()
        self.daemon.start()  # and not only in memory
        states = {token: self.daemon.introspect(self.caller, token).active for token in live + ended}
        self.assertEqual([states[token] for token in live + ended], [True] * len(live) + [False] * len(ended))

    def restarted(self):
        try:
            self.replicas.postgres.start()
            return True
        except RuntimeError:  # a child of the one that was killed is still there
            return False

    def test_it_waits_for_the_database_at_the_start_and_tells_no_password(self):
        self.daemon.stop()
        store = self.daemon.settings["store"]
        nonsense = store.replace("gatehouse@", "gatehouse:s3cr3t@").replace("127.0.0.1", "[") + "?password=s3cr3t"
        for mode, url, says in (("refuse", store, "store_away"), ("pass", store.replace("gatehouse@", "nobody:s3cr3t@"), "store_away"),
                                ("pass", nonsense, "store_cannot_be_opened")):
            self.network.set(mode)
            self.daemon.settings["store"] = url
            if says == "store_away":
                self.daemon.start()
                self.assertEqual(http(self.daemon, "/readyz")[0], 503)
                self.assertEqual(self.daemon.stop(), 0)
            else:
                self.assertRaises(RuntimeError, self.daemon.start)
            self.assertIn(says, self.daemon.log_text())
            self.assertNotIn("s3cr3t", self.daemon.log_text())
            shown = self.daemon.run("--print-config").stdout
            self.assertIn("postgresql://", shown)
            self.assertNotIn("s3cr3t", shown)
        self.daemon.settings["store"] = store
        self.daemon.start()

    def test_a_database_of_another_program_or_of_a_newer_one_is_left_alone(self):
        url = self.replicas.postgres.new_database()
        self.replicas.postgres.sql("CREATE TABLE theirs (id BIGINT)", url)
        daemon = Daemon({"store": url}, init=False, start=False)
        self.assertIn("another program", daemon.run("init", check=False).stderr)
        self.daemon.stop()
        self.replicas.sql("INSERT INTO schema_version (number, applied) VALUES (99, 0)")
        with self.assertRaisesRegex(RuntimeError, "newer than this program"):
            self.daemon.start()
        self.replicas.sql("DELETE FROM schema_version WHERE number = 99")
        self.daemon.start()


class Together(unittest.TestCase):
    def test_replicas_that_start_together_on_an_empty_database_make_one_schema(self):
        with Replicas(1, {"http_address": ""}) as replicas:
            network = replicas.networks[0]
            store = network.url(replicas.postgres.new_database())
            daemons = [Daemon({"store": store, "http_address": ""}, init=False, start=False) for _ in range(4)]
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                runs = list(pool.map(lambda pair: pair[1].run("init", "--name", f"a{pair[0]}", check=False), enumerate(daemons)))
            self.assertEqual([run.returncode for run in runs], [0] * 4, [run.stderr for run in runs])

    def test_two_administrators_on_two_replicas_at_once_cannot_both_remove_the_last_but_one(self):
        with Replicas(2, {"http_address": ""}) as replicas:
            one, other = replicas.daemons
            caller = one.admin_token()
            second = one.create(caller, "second", roles=("user_manager",))
            token = one.issue(second.credential.client_id, second.secret_key).access_token
            calls = [one.admin.DeleteCredential.future(pb.DeleteCredentialRequest(client_id=second.credential.client_id),
                                                       metadata=Daemon.bearer(caller), timeout=60),
                     other.admin.DeleteCredential.future(pb.DeleteCredentialRequest(client_id=one.client_id),
                                                         metadata=Daemon.bearer(token), timeout=60)]
            codes = [call.code().name for call in calls]
            self.assertEqual(codes.count("OK"), 1, codes)
            codes.remove("OK")
            self.assertIn(codes[0], ("FAILED_PRECONDITION", "UNAUTHENTICATED"))  # the last one; or it is gone already

    def test_a_token_of_a_credential_that_another_replica_has_just_made_or_changed_is_live(self):
        with Replicas(2, {"http_address": ""}) as replicas:
            one, other = replicas.daemons
            caller = one.admin_token()
            self.assertTrue(other.introspect(caller, caller).active)
            for i in range(100):
                made = one.create(caller, f"client {i}")
                other.issue(made.credential.client_id, made.secret_key)
                token = one.issue(made.credential.client_id, made.secret_key).access_token
                self.assertTrue(other.introspect(caller, token).active, i)
                one.admin.GrantRoles(pb.GrantRolesRequest(client_id=made.credential.client_id, roles=["team_leader"]),
                                     metadata=Daemon.bearer(caller), timeout=60)
                token = one.issue(made.credential.client_id, made.secret_key).access_token
                self.assertEqual(list(other.introspect(caller, token).roles), ["team_leader", "work_creator"])

    def test_what_one_replica_makes_the_other_administers_at_once(self):
        with Replicas(2, {"http_address": ""}) as replicas:
            one, other = replicas.daemons
            caller = one.admin_token()
            for i in range(30):
                one.admin.CreateRole(pb.CreateRoleRequest(role=pb.Role(role_id=f"role_{i}", name="n", group="g")),
                                     metadata=Daemon.bearer(caller), timeout=60)
                made = other.create(caller, f"client {i}", roles=(f"role_{i}",))
                self.assertEqual(one.admin.GetCredential(
                    pb.GetCredentialRequest(client_id=made.credential.client_id), metadata=Daemon.bearer(caller),
                    timeout=60).credential.name, f"client {i}")
            names = {credential.name for credential in one.admin.ListCredentials(
                pb.ListCredentialsRequest(page_size=100), metadata=Daemon.bearer(caller), timeout=60).credentials}
            self.assertEqual(names, {"administrator"} | {f"client {i}" for i in range(30)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
