# SPDX-License-Identifier: Apache-2.0
"""What the tests of CredentialAdmin share: a daemon a class, an administrator, short ways to call."""
import os
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from daemon import Daemon, error_of
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

looks_into_sqlite = unittest.skipIf(os.environ.get("GATEHOUSE_TEST_STORE"), "looks into the SQLite file")
NOBODY = "00000000-0000-4000-8000-000000000000"


def until(condition, seconds=60):
    """Waits for it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


class AdminTest(unittest.TestCase):
    settings = {}
    clock = False

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"http_address": "", **cls.settings}, clock=cls.clock)
        cls.token = cls.daemon.admin_token()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def admin(self, method, token=None, **fields):
        """self.admin("GetUser", user="u"): the response."""
        name = method + "Request"
        return getattr(self.daemon.admin, method)(getattr(pb, name)(**fields),
                                                  metadata=Daemon.bearer(token or self.token))

    def create(self, name, roles=("work_creator",), **fields):
        answer = self.daemon.create(self.token, name, roles, **fields)
        return answer.credential, answer.secret_key

    def issue(self, credential, secret, **fields):
        return self.daemon.issue(credential.client_id, secret, **fields)

    def get(self, credential):
        return self.admin("GetCredential", client_id=credential.client_id).credential

    def is_active(self, token):
        return self.daemon.introspect(self.token, token, no_touch=True).active

    def update(self, credential, *paths, **fields):
        dry, etag = fields.pop("validate_only", False), fields.pop("etag", "")
        return self.admin("UpdateCredential", validate_only=dry, update_mask=FieldMask(paths=paths),
                          credential=pb.Credential(client_id=credential.client_id, etag=etag, **fields))

    def set_settings(self, *paths, token=None, dry=False, etag="", **fields):
        settings = pb.Settings(etag=etag)
        for name, value in fields.items():
            if name == "max_tokens_per_credential":
                settings.max_tokens_per_credential = value
            else:
                getattr(settings, name).SetInParent()
                getattr(settings, name).seconds = value
        return self.admin("UpdateSettings", settings=settings, validate_only=dry, token=token,
                          update_mask=FieldMask(paths=list(paths) + list(fields)))

    def refused(self, method, outcome, token=None, **fields):
        """The call fails with (code, reason) or (code, reason, field)."""
        got = error_of(lambda: self.admin(method, token, **fields))
        self.assertEqual(got[:len(outcome)], outcome)

    def pages(self, method, items, page_size=100, **fields):
        """Every item of a list, page by page."""
        page = ""
        while True:
            answer = self.admin(method, page_size=page_size, page_token=page, **fields)
            yield from getattr(answer, items)
            page = answer.next_page_token
            if not page:
                return

    def in_parallel(self, calls, threads=32):
        """Each call's value, or its (code, reason)."""
        def one(call):
            try:
                return call()
            except Exception as error:  # the test looks at what it was
                def again():
                    raise error
                return error_of(again)[:2]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, calls))
