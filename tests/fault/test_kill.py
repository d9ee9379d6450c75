# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random instants under load: what was acknowledged is there afterwards, what was revoked stays dead.

GATEHOUSE_SEED repeats a run's choices, GATEHOUSE_KILLS says how often (default 50)."""
import os
import random
import threading
import time
import unittest

import grpc
from daemon import Daemon, auth_pb2
from gatehouse.v1 import credential_admin_pb2 as pb

SEED = int(os.environ.get("GATEHOUSE_SEED", random.randrange(1 << 30)))
KILLS = int(os.environ.get("GATEHOUSE_KILLS", 50))


class Load:
    """Threads that issue, revoke, create and change roles, and note what was acknowledged."""

    def __init__(self, daemon, credential, secret, token, name):
        self.daemon, self.credential, self.secret, self.token, self.name = daemon, credential, secret, token, name
        self.lock = threading.Lock()
        self.live, self.dead, self.unknown, self.created, self.deleted = set(), set(), set(), {}, set()
        self.roles = None  # of self.changing, once acknowledged; "?" while a change is under way
        self.stop, self.errors = threading.Event(), []
        made = daemon.create(token, name + " changing", ("work_creator",))
        self.changing, self.changing_secret = made.credential.client_id, made.secret_key

    def run(self):
        acts = [self.issue_and_revoke, self.issue_and_revoke, self.create_and_delete, self.change_roles]
        self.threads = [threading.Thread(target=self.repeat, args=(act,)) for act in acts]
        for thread in self.threads:
            thread.start()

    def repeat(self, act):
        number = 0
        while not self.stop.is_set():
            try:
                act(number)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    self.errors.append(error)
                return
            number += 1

    def issue_and_revoke(self, number):
        text = self.daemon.issue(self.credential, self.secret).access_token
        self.live.add(text)
        if number % 2:
            with self.lock:
                self.live.discard(text)
                self.unknown.add(text)  # until it is acknowledged
            self.daemon.auth.Revoke(auth_pb2.RevokeRequest(
                token=text, client_id=self.credential, client_secret=self.secret), timeout=60)
            with self.lock:
                self.unknown.discard(text)
                self.dead.add(text)

    def create_and_delete(self, number):
        answer = self.daemon.create(self.token, f"{self.name} {number}")
        client_id = answer.credential.client_id
        self.created[client_id] = answer.secret_key
        if number % 3 == 2:
            del self.created[client_id]
            self.daemon.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=client_id),
                                               metadata=Daemon.bearer(self.token), timeout=60)
            self.deleted.add(client_id)

    def change_roles(self, number):
        grant, self.roles = number % 2 == 0, "?"
        method, request = (self.daemon.admin.GrantRoles, pb.GrantRolesRequest) if grant else \
            (self.daemon.admin.RevokeRoles, pb.RevokeRolesRequest)
        method(request(client_id=self.changing, roles=["team_leader"]), metadata=Daemon.bearer(self.token), timeout=60)
        self.roles = ["team_leader", "work_creator"] if grant else ["work_creator"]


class Kill(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_and_nothing_revoked_comes_back(self):
        print(f"seed {SEED}")
        rng = random.Random(SEED)
        acknowledged = 0
        with Daemon({"http_address": "", "flush_interval_ms": "50"}) as daemon:
            for number in range(KILLS):
                token = daemon.admin_token()
                made = daemon.create(token, f"round {number}")
                load = Load(daemon, made.credential.client_id, made.secret_key, token, f"load {number}")
                load.run()
                time.sleep(rng.uniform(0.02, 0.6))
                daemon.kill()
                load.stop.set()
                for thread in load.threads:
                    thread.join(100)
                    self.assertFalse(thread.is_alive())
                self.assertEqual(load.errors, [])
                daemon.start()
                self.check(daemon, load)
                acknowledged += len(load.live) + len(load.dead) + len(load.created) + len(load.deleted)
        print(f"{KILLS} kills, {acknowledged} acknowledged things, every one as it was acknowledged")
        self.assertGreater(acknowledged, KILLS * 5)

    def check(self, daemon, load):
        caller = daemon.admin_token()
        for texts, is_live in ((load.live, True), (load.dead, False)):
            for some in self.in_batches(list(texts)):
                requests = [auth_pb2.BatchIntrospectEntry(token=text, no_touch=True) for text in some]
                answer = daemon.auth.BatchIntrospect(auth_pb2.BatchIntrospectRequest(requests=requests),
                                                     metadata=Daemon.bearer(caller))
                self.assertEqual([r.active for r in answer.responses], [is_live] * len(some))
        for client_id, secret in load.created.items():
            self.assertTrue(daemon.issue(client_id, secret).access_token)
        for client_id in load.deleted:
            got = daemon.admin.GetCredential(pb.GetCredentialRequest(client_id=client_id), metadata=Daemon.bearer(caller))
            self.assertEqual(got.credential.status, pb.CREDENTIAL_STATUS_DELETED)
        if load.roles not in (None, "?"):
            self.assertEqual(list(daemon.issue(load.changing, load.changing_secret).scopes), load.roles)
        self.assertTrue(daemon.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(), metadata=Daemon.bearer(caller)).intact)

    @staticmethod
    def in_batches(texts):
        return [texts[i:i + 100] for i in range(0, len(texts), 100)]


if __name__ == "__main__":
    unittest.main()
