# SPDX-License-Identifier: Apache-2.0
"""libgatehouse against the real daemon: test_library.py DRIVER."""
import os
import signal
import subprocess
import unittest

from driver import DRIVER, Driver
from daemon import DEADLINE, Daemon, auth_pb2, credential_admin_pb2 as pb

CERTIFICATES = """
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $new -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
echo subjectAltName=DNS:gatehouse.internal >server.ext
echo subjectAltName=DNS:cases.internal >client.ext
for name in server client; do
  openssl req -new $new -subj /CN=$name -keyout $name.key -out $name.csr
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
done
"""


class Library(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon({"http_address": ""}, clock=True))
        self.admin = self.daemon.admin_token()
        self.server = self.client("server", "resource_server")
        self.third_party = self.client("Acme", "work_creator")
        self.token = self.daemon.issue(*self.third_party).access_token

    def client(self, name, *roles):
        made = self.daemon.create(self.admin, name, roles)
        return made.credential.client_id, made.secret_key

    def manage(self, method, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return getattr(self.daemon.admin, method)(request, metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)

    def live_tokens(self, client_id):
        return len(self.manage("ListTokens", client_id=client_id).tokens)

    def assert_active(self, said):
        self.assertEqual(said, "active allowed Acme")

    def test_every_call_of_the_auth_service_is_answered(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(driver.ask("introspect", self.token, "work_creator", "team_leader"), "active denied Acme")
            self.assertEqual(driver.ask("introspect", "nonsense"), "inactive")
            self.assertEqual(driver.ask("batch", "nonsense", self.token), "inactive, active allowed Acme")
            self.assertEqual(driver.ask("batch"), "error INVALID_ARGUMENT INVALID_FIELD")
            issued = driver.ask("issue", *self.third_party)
            self.assert_active(driver.ask("introspect", issued))
            self.assertEqual(driver.ask("issue", self.third_party[0], "wrong"), "error UNAUTHENTICATED INVALID_CLIENT")
            self.assertEqual(driver.ask("revoke", issued, *self.third_party), "revoked")
            self.assertEqual(driver.ask("introspect", issued), "inactive")
            self.assertEqual(driver.ask("revoke", self.token), "error PERMISSION_DENIED NOT_YOUR_TOKEN")
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(driver.ask("health"), "health 1")
            self.assertEqual(self.live_tokens(self.server[0]), 1)

    def test_administration_goes_by_the_same_connection(self):
        administrator = self.client("operator", "user_manager")
        with Driver(self.daemon, *administrator) as driver:
            self.assertEqual(sorted(driver.ask("list").split(", ")), ["Acme", "administrator", "operator", "server"])
            self.assertEqual(driver.ask("revoke", self.token), "revoked")
            self.assertEqual(driver.ask("introspect", self.token), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
        with Driver(self.daemon, *self.server) as driver:
            self.assertEqual(driver.ask("list"), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")

    def test_a_new_token_is_got_when_the_old_one_has_been_ended(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            for end in (lambda: self.manage("EndTokens", client_id=self.server[0]),
                        lambda: self.manage("GrantRoles", client_id=self.server[0], roles=["team_leader"])):
                end()
                self.assertEqual(self.live_tokens(self.server[0]), 0)
                self.assert_active(driver.ask("introspect", self.token))
                self.assertEqual(self.live_tokens(self.server[0]), 1)

    def test_a_new_token_is_got_when_the_old_one_was_idle_for_too_long(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            seconds = self.manage("GetSettings").settings.idle_session_timeout.seconds
            self.daemon.pass_time(seconds + 60)
            self.assertEqual(driver.ask("introspect", self.token), "inactive")
            self.assert_active(driver.ask("introspect", self.daemon.issue(*self.third_party).access_token))

    def test_a_deleted_credential_is_told_at_each_call_and_works_again_when_it_is_back(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            self.manage("DeleteCredential", client_id=self.server[0])
            for _ in range(3):
                self.assertEqual(driver.ask("introspect", self.token), "error UNAUTHENTICATED INVALID_CLIENT")
            self.manage("UndeleteCredential", client_id=self.server[0])
            self.assert_active(driver.ask("introspect", self.token))

    def test_who_may_not_is_told_so_and_gets_no_new_token_for_it(self):
        with Driver(self.daemon, *self.third_party) as driver:
            for _ in range(3):
                self.assertEqual(driver.ask("introspect", self.token), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
            self.assertEqual(self.live_tokens(self.third_party[0]), 2)  # and that of setUp

    def test_a_wrong_secret_in_a_request_does_not_cost_the_connection_its_token(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            said = driver.ask("revoke", self.token, self.third_party[0], "wrong")
            self.assertEqual(said, "error UNAUTHENTICATED INVALID_CLIENT")
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(self.live_tokens(self.server[0]), 1)

    def test_a_token_of_the_callers_own_is_not_renewed(self):
        own = self.daemon.issue(*self.server).access_token
        with Driver(self.daemon, ACCESS_TOKEN=own) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=own), metadata=self.daemon.bearer(own), timeout=DEADLINE)
            self.assertEqual(driver.ask("introspect", self.token), "error UNAUTHENTICATED CALLER_UNKNOWN")
        with Driver(self.daemon) as driver:
            self.assertEqual(driver.ask("introspect", self.token), "error UNAUTHENTICATED CALLER_UNKNOWN")

    def test_close_revokes_the_token_that_the_connection_got_and_no_other(self):
        own = self.daemon.issue(*self.server).access_token
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(self.live_tokens(self.server[0]), 2)
        self.assertEqual(self.live_tokens(self.server[0]), 1)
        with Driver(self.daemon, *self.server, ACCESS_TOKEN=own) as driver:
            self.assert_active(driver.ask("introspect", self.token))
        self.assertEqual(self.live_tokens(self.server[0]), 1)
        with Driver(self.daemon, *self.server, ACCESS_TOKEN="of old") as driver:
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(self.live_tokens(self.server[0]), 2)
        self.assertEqual(self.live_tokens(self.server[0]), 1)

    def test_a_child_of_fork_is_refused_and_its_parent_goes_on(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))
            for _ in range(2):
                self.assertRegex(driver.ask("fork", self.token), "^status 9, this process was forked while a connection was open")
                self.assertEqual(driver.read(), "child exit 0")
                self.assert_active(driver.ask("introspect", self.token))

    def test_a_child_of_a_parent_that_has_closed_opens_its_own(self):
        with Driver(self.daemon, *self.server, FORK_AFTER_CLOSE="1") as driver:
            self.assertEqual(driver.read(), "child exit 0")
            self.assert_active(driver.ask("introspect", self.token))

    def test_a_closure_that_waits_is_refused(self):
        with Driver(self.daemon, *self.server) as driver:
            self.assertEqual(driver.ask("closure", self.token), "in the closure: refused 9 9, outside: 0")
            self.assert_active(driver.ask("introspect", self.token))

    def test_a_programs_own_copies_of_googles_messages_are_not_the_librarys(self):
        administrator = self.client("operator", "user_manager")
        with Driver(self.daemon, *administrator) as driver:
            self.assertEqual(driver.ask("expire", self.third_party[0], "4102444800"), "expires 4102444800")

    def test_what_it_says_is_cut_between_characters(self):
        done = subprocess.run([DRIVER], capture_output=True, timeout=DEADLINE, stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "ADDRESS": "x" + 200 * "\u00e4"})
        self.assertEqual(done.returncode, 1)
        self.assertIn('\u00e4" is not an address', done.stderr.decode())  # strictly

    def test_two_connections_know_nothing_of_each_other(self):
        other = self.client("other server", "resource_server")
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("second", *other, self.token))
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual(driver.ask("second", other[0], "wrong", self.token), "error UNAUTHENTICATED INVALID_CLIENT")
            self.assert_active(driver.ask("introspect", self.token))
            self.assertEqual((self.live_tokens(self.server[0]), self.live_tokens(other[0])), (1, 0))

    def test_a_deadline_ends_a_call_to_a_server_that_says_nothing(self):
        with Driver(self.daemon, *self.server, TIMEOUT_MS="300") as driver:
            self.daemon.process.send_signal(signal.SIGSTOP)
            try:
                for _ in range(2):  # one waits for a token
                    self.assertEqual(driver.ask("introspect", self.token), "error DEADLINE_EXCEEDED")
            finally:
                self.daemon.process.send_signal(signal.SIGCONT)
        with Driver(self.daemon, *self.server) as driver:
            self.assert_active(driver.ask("introspect", self.token))

    def test_any_number_of_threads_never_gets_a_wrong_answer_while_the_token_is_ended(self):
        rounds = 5
        with Driver(self.daemon, *self.server) as driver:
            driver.send("storm", "8", str(rounds), self.token)
            for _ in range(rounds):
                self.assertEqual(driver.read(), "ready")
                self.manage("EndTokens", client_id=self.server[0])
                driver.send("ended")
            self.assertEqual(driver.read(), "all right")
            self.assertEqual(self.live_tokens(self.server[0]), 1)  # one for all threads, each time


class Far(unittest.TestCase):
    def test_mutual_tls_takes_the_place_of_a_token_and_checks_the_servers_name(self):
        with Daemon({"http_address": ""}, start=False) as daemon:
            subprocess.run(["sh", "-ec", CERTIFICATES], cwd=daemon.folder, check=True, capture_output=True, timeout=60)
            files = {name: f"{daemon.folder}/{name}" for name in
                     ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")}
            daemon.settings.update(grpc_cert=files["server.pem"], grpc_key=files["server.key"], grpc_client_ca=files["ca.pem"],
                                   introspect_identities="cases.internal")
            daemon.start()
            tls = {"CA_FILE": files["ca.pem"], "SERVER_NAME": "gatehouse.internal"}
            known = {**tls, "CERT_FILE": files["client.pem"], "KEY_FILE": files["client.key"]}
            with Driver(daemon, **known) as driver:
                token = driver.ask("issue", daemon.client_id, daemon.secret)
                self.assertEqual(driver.ask("introspect", token), "active allowed administrator")
                self.assertEqual(driver.ask("list"), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
            # A token as well: it says who calls.
            with Driver(daemon, daemon.client_id, daemon.secret, **known) as driver:
                self.assertEqual(driver.ask("list"), "administrator")
            for refused in (tls, {**known, "SERVER_NAME": "elsewhere"}, {**known, "CA_FILE": files["client.pem"]}):
                with Driver(daemon, TIMEOUT_MS="1000", **refused) as driver:
                    self.assertRegex(driver.ask("introspect", token), "^error (UNAVAILABLE|DEADLINE_EXCEEDED)")

    def test_calls_take_turns_over_all_addresses_and_leave_out_one_that_is_away(self):
        with Daemon({"http_address": ""}) as one, Daemon({"http_address": ""}) as two:
            both = f"ipv4:127.0.0.1:{one.grpc_port},127.0.0.1:{two.grpc_port}"
            with Driver(one, ADDRESS=both) as driver:
                said = set()  # each knows its own administrator only
                for _ in range(100):
                    said.add(driver.ask("issue", one.client_id, one.secret)[:7])
                    if len(said) == 2:
                        break
                self.assertEqual(said, {"gate_at", "error U"})
                self.assertEqual(two.stop(), 0)
                self.assertEqual({driver.ask("health") for _ in range(6)}, {"health 1"})

    def test_a_restart_of_the_daemon_is_ridden_out(self):
        with Daemon({"http_address": ""}) as daemon:
            with Driver(daemon, daemon.client_id, daemon.secret) as driver:
                self.assertEqual(driver.ask("list"), "administrator")
                daemon.settings["grpc_address"] = f"127.0.0.1:{daemon.grpc_port}"
                self.assertEqual(daemon.stop(), 0)
                daemon.start()
                self.assertEqual(driver.ask("list"), "administrator")


if __name__ == "__main__":
    unittest.main()
