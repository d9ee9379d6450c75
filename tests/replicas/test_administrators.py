# SPDX-License-Identifier: Apache-2.0
"""Two administrators at two replicas who take each other away at the same moment: one of them is left."""
import threading
import unittest
from functools import partial

import grpc
from daemon import DEADLINE, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from replicas import Replicas, eventually

LAST = ("FAILED_PRECONDITION", "LAST_ADMINISTRATOR")
UNKNOWN = ("UNAUTHENTICATED", "CALLER_UNKNOWN")  # the other was first, and this one's token is dead


def throw(error):
    raise error


class Administrators(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": ""}))
        self.one, self.other = self.replicas.daemons

    def call(self, daemon, token, method, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return getattr(daemon.admin, method)(request, metadata=daemon.bearer(token), timeout=DEADLINE)

    def end_key(self, daemon, token, client_id, secret_id):
        self.call(daemon, token, "EndSecret", client_id=client_id, secret_id=secret_id)

    def delete(self, daemon, token, client_id, _):
        self.call(daemon, token, "DeleteCredential", client_id=client_id)

    def revoke(self, daemon, token, client_id, _):
        self.call(daemon, token, "RevokeRoles", client_id=client_id, roles=["user_manager"])

    def expire(self, daemon, token, client_id, _):
        credential = pb.Credential(client_id=client_id)
        credential.expire_time.seconds = 1
        self.call(daemon, token, "UpdateCredential", credential=credential, update_mask=FieldMask(paths=["expire_time"]))

    def both(self, act, mine, others):
        """What each of the two replicas said."""
        said, start = [None, None], threading.Barrier(2)

        def go(number, daemon, arguments):
            start.wait()
            try:
                act(daemon, *arguments)
                said[number] = "OK"
            except grpc.RpcError as error:
                said[number] = error

        threads = [threading.Thread(target=go, args=arguments) for arguments in ((0, self.one, mine), (1, self.other, others))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [error_of(partial(throw, each))[:2] if each != "OK" else each for each in said]

    def answers(self, daemon, token):
        try:
            self.call(daemon, token, "GetSettings")
        except grpc.RpcError:
            return False
        return True

    def key(self, token, client_id):
        return self.call(self.one, token, "GetCredential", client_id=client_id).credential.secrets[0].secret_id

    def test_one_is_left_whatever_they_do(self):
        keeper = (self.one.client_id, self.one.secret)
        acts = [act for act in (self.end_key, self.delete, self.revoke, self.expire) for _ in range(6)]
        for number, act in enumerate(acts):
            with self.subTest(act.__name__):
                token = self.one.issue(*keeper).access_token
                made = self.one.create(token, f"administrator {number}", ("user_manager", "resource_server"))
                new = (made.credential.client_id, made.secret_key)
                theirs = self.one.issue(*new).access_token
                eventually(lambda: self.answers(self.other, theirs))
                said = self.both(act, (token, new[0], self.key(token, new[0])), (theirs, keeper[0], self.key(token, keeper[0])))
                self.assertEqual(said.count("OK"), 1, said)
                self.assertIn([each for each in said if each != "OK"][0], (LAST, UNKNOWN))
                keeper = keeper if said[0] == "OK" else new
                eventually(lambda: self.answers(self.one, self.one.issue(*keeper).access_token))


if __name__ == "__main__":
    unittest.main()
