# SPDX-License-Identifier: Apache-2.0
"""A holder rotates its own secret key: with a token of its own and no administrator's right, if its credential allows it; and
`gatehouse secret rotate` puts the new key into its file."""
import os
import resource
import signal
import stat
import subprocess
import unittest

from daemon import DEADLINE, Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

COMMAND = os.environ["GATEHOUSE_COMMAND"]
HOUR = 3600


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"http_address": ""}, clock=True))

    def admin(self, method, **fields):
        return self.rotate_as(self.daemon.admin_token(), method, **fields)

    def rotate_as(self, token, method="RegenerateSecret", **fields):
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(**fields),
                                                  metadata=Daemon.bearer(token), timeout=DEADLINE)

    def make(self, name, roles=("work_creator",), self_rotation=True):
        made = self.daemon.create(self.daemon.admin_token(), name, roles, self_rotation=self_rotation)
        return made.credential.client_id, made.secret_key

    def token(self, client, secret, scopes=()):
        return self.daemon.issue(client, secret, scopes).access_token

    def refused(self, token, client, overlap=HOUR):
        return error_of(lambda: self.rotate_as(token, client_id=client, overlap={"seconds": overlap}))


class Rotation(Base):
    def test_a_holder_makes_its_next_key_and_the_one_before_lives_on(self):
        client, first = self.make("rotates")
        token = self.token(client, first)
        answer = self.rotate_as(token, client_id=client.upper(), overlap={"seconds": HOUR})
        self.assertEqual((answer.credential.name, len(answer.credential.secrets)), ("rotates", 2))
        self.assertEqual((answer.credential.created_by, list(answer.credential.roles)), ("", []))  # nothing of administrators
        for secret in (first, answer.secret_key):
            self.token(client, secret)
        event = self.admin("ListAuditEvents", filter="action=RegenerateSecret").events[0]
        self.assertEqual((event.actor, event.subject, event.outcome), (client, client, "OK"))
        self.daemon.pass_time(HOUR + 1)
        self.token(client, answer.secret_key)
        self.assertEqual(error_of(lambda: self.token(client, first))[1], "INVALID_CLIENT")

    def test_only_where_it_is_allowed_and_only_its_own(self):
        client, secret = self.make("may not", self_rotation=False)
        other, _ = self.make("another")
        token = self.token(client, secret)
        self.assertEqual(self.refused(token, client)[:2], ("PERMISSION_DENIED", "NO_SELF_ROTATION"))
        self.assertEqual(self.refused(token, other)[:2], ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))
        self.assertEqual(error_of(lambda: self.rotate_as(token, "EndSecret", client_id=client))[1], "CALLER_NOT_ALLOWED")
        self.admin("UpdateCredential", credential={"client_id": client, "self_rotation": True},
                   update_mask={"paths": ["self_rotation"]})
        self.assertEqual(self.admin("ListAuditEvents", filter="action=UpdateCredential").events[0].detail,
                         "self rotation: no -> yes")
        self.rotate_as(token, client_id=client, overlap={"seconds": HOUR})

    def test_a_narrowed_token_gets_no_key_that_may_more(self):
        client, secret = self.make("narrow", ["work_creator", "team_leader"])
        self.assertEqual(self.refused(self.token(client, secret, ["work_creator"]), client)[:2],
                         ("PERMISSION_DENIED", "NO_SELF_ROTATION"))

    def test_it_cannot_lock_its_holder_out_or_go_on_without_a_pause(self):
        client, secret = self.make("careful")
        token = self.token(client, secret)
        for overlap in (0, 59):
            self.assertEqual(self.refused(token, client, overlap), ("INVALID_ARGUMENT", "INVALID_FIELD", "overlap"))
        for is_again in (False, True):  # the same request once more is answered, and not refused
            answer = self.rotate_as(token, client_id=client, overlap={"seconds": HOUR}, request_id="once")
            self.assertEqual((answer.secret_key == "", answer.credential.created_by), (is_again, ""))
        self.assertEqual(self.refused(token, client)[:2], ("RESOURCE_EXHAUSTED", "ROTATED_LATELY"))
        self.assertTrue(self.daemon.introspect(self.daemon.admin_token(), token).active)

    def test_a_key_that_never_arrived_takes_the_place_of_none_that_works(self):
        client, first = self.make("unlucky")
        lost = self.rotate_as(self.token(client, first), client_id=client, overlap={"seconds": HOUR}).secret_key
        self.daemon.pass_time(61)
        third = self.rotate_as(self.token(client, first), client_id=client, overlap={"seconds": HOUR}).secret_key
        for secret in (first, third):
            self.token(client, secret)
        self.assertEqual(error_of(lambda: self.token(client, lost))[1], "INVALID_CLIENT")

    def test_a_key_manager_rotates_its_own_only_where_a_user_manager_allows_it(self):
        client, secret = self.make("manager", ["key_manager"], self_rotation=False)
        token = self.token(client, secret)
        self.assertEqual(self.refused(token, client)[:2], ("PERMISSION_DENIED", "NO_SELF_ROTATION"))
        self.admin("UpdateCredential", credential={"client_id": client, "self_rotation": True},
                   update_mask={"paths": ["self_rotation"]})
        self.rotate_as(token, client_id=client, overlap={"seconds": HOUR})


class Command(Base):
    def setUp(self):
        self.client, self.secret = self.make(self.id())
        self.folder = self.daemon.folder + "/" + self.id().rsplit(".", 1)[1]
        self.path = self.folder + "/key"
        os.mkdir(self.folder)
        with open(self.path, "w") as file:
            file.write(self.secret + "\n")
        os.chmod(self.path, 0o644)

    def run_command(self, *arguments, **options):
        return subprocess.run([COMMAND, "--address", f"127.0.0.1:{self.daemon.grpc_port}", "--client-id", self.client,
                               "--client-secret-file", self.path, "secret", "rotate", *arguments], capture_output=True,
                              text=True, timeout=DEADLINE, **options)

    def key(self):
        with open(self.path) as file:
            return file.read().strip()

    def keys(self):
        return len(self.admin("GetCredential", client_id=self.client).credential.secrets)

    def test_the_command_puts_the_new_key_into_its_file_at_once(self):
        with open(self.path) as before:
            said = self.run_command()
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertEqual(before.read().strip(), self.secret)  # another file has taken its place
        self.assertNotEqual(self.key(), self.secret)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder), ["key"])
        self.assertNotIn("gate_sk_", said.stdout + said.stderr)
        self.token(self.client, self.key())
        self.token(self.client, self.secret)

    def test_where_there_is_no_room_no_key_is_made(self):
        def full():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        said = self.run_command(preexec_fn=full)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("cannot make a file to take the place of " + self.path, said.stderr)
        self.assertEqual((self.key(), self.keys(), os.listdir(self.folder)), (self.secret, 1, ["key"]))

    def test_what_is_refused_leaves_the_file_as_it_is(self):
        self.admin("UpdateCredential", credential={"client_id": self.client}, update_mask={"paths": ["self_rotation"]})
        said = self.run_command()
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("may not make its secret keys", said.stderr)
        self.assertEqual((self.key(), self.keys(), os.listdir(self.folder)), (self.secret, 1, ["key"]))
        self.assertIn("--overlap", self.run_command("--overlap", "soon").stderr)


if __name__ == "__main__":
    unittest.main()
