# SPDX-License-Identifier: Apache-2.0
"""What ends is told of before: to the machine that uses it, with each token; to people, by metrics and in lists."""
import json
import re
import time
import unittest
import urllib.parse
import urllib.request

from daemon import DEADLINE, Daemon
from gatehouse.v1 import credential_admin_pb2 as pb

DAY = 86400


class Ends(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"metrics_address": "127.0.0.1:0"}))
        cls.caller = cls.daemon.admin_token()

    def ask(self, method, **fields):
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(**fields),
                                                  metadata=Daemon.bearer(self.caller), timeout=DEADLINE)

    def over_http(self, client_id, secret):
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        with urllib.request.urlopen(self.daemon.http + "/OAuth/Token", urllib.parse.urlencode(form).encode(),
                                    timeout=DEADLINE) as answer:
            told = json.load(answer)
        return told["client_secret_expires_at"], told["credential_expires_at"]

    def told(self, client_id, secret):
        answer = self.daemon.issue(client_id, secret)
        ends = answer.client_secret_expires_at, answer.credential_expires_at
        self.assertEqual(self.over_http(client_id, secret), ends)
        return ends

    def test_a_token_answer_says_when_secret_key_and_credential_end(self):
        made = self.daemon.create(self.caller, "told")
        client = made.credential.client_id
        self.assertEqual(self.told(client, made.secret_key), (0, 0))
        self.ask("UpdateCredential", credential={"client_id": client, "expire_time": {"seconds": 4000000000}},
                 update_mask={"paths": ["expire_time"]})
        again = self.ask("RegenerateSecret", client_id=client, overlap={"seconds": 3600})
        self.assertEqual(self.told(client, again.secret_key), (0, 4000000000))
        old = again.credential.secrets[1].expire_time.seconds
        self.assertEqual(self.told(client, made.secret_key), (old, 4000000000))

    def test_lists_find_what_expires_soon_from_the_soonest_on(self):
        now = self.ask("GetCredential", client_id=self.daemon.client_id).credential.create_time.seconds
        for days in (1, 5, 20, 29, 50):
            self.daemon.create(self.caller, f"in {days}", expire_time={"seconds": now + days * DAY})
        gone = self.daemon.create(self.caller, "in 0", expire_time={"seconds": now + DAY}).credential.client_id
        self.ask("UpdateCredential", credential={"client_id": gone, "expire_time": {"seconds": 1}},
                 update_mask={"paths": ["expire_time"]})
        within = time.strftime("expires<%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 30 * DAY))

        def listed(query, order):
            names, page, total = [], "", None
            while True:
                answer = self.ask("ListCredentials", filter=query, order_by=order, page_size=2, page_token=page)
                total = answer.total_size if total is None else total
                names += [each.name for each in answer.credentials]
                page = answer.next_page_token
                if not page:
                    self.assertEqual(total, len(names))
                    return names
        soon = ["in 1", "in 5", "in 20", "in 29"]
        self.assertEqual(listed(within + " AND status=active", "expire_time"), soon)
        self.assertEqual(listed(within + " AND status=active", "expire_time desc"), soon[::-1])
        self.assertEqual(listed(within, "expire_time"), ["in 0", *soon])
        self.assertEqual(listed(within, "expire_time desc"), [*soon[::-1], "in 0"])
        self.assertEqual(listed(within + " AND status=active AND name:in", "name"), sorted(soon))
        names = listed("status=active", "expire_time")
        self.assertEqual(names[:5], [*soon, "in 50"])
        self.assertIn("administrator", names[5:])
        self.assertEqual(set(listed("status=active", "expire_time desc")), set(names))

        made = self.daemon.create(self.caller, "with two keys").credential.client_id
        self.ask("RegenerateSecret", client_id=made, overlap={"seconds": 20 * DAY})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=DEADLINE) as answer:
            text = answer.read().decode()
        counts = dict(re.findall(r"(?m)^(gatehouse_(?:credentials_expiring|secret_keys_ending){within=\"\w+\"}) (\d+)$", text))
        self.assertEqual(counts['gatehouse_credentials_expiring{within="7d"}'], "2")
        self.assertEqual(counts['gatehouse_credentials_expiring{within="30d"}'], "4")
        self.assertEqual(counts['gatehouse_secret_keys_ending{within="7d"}'], "1" if "told" in names else "0")
        self.assertEqual(int(counts['gatehouse_secret_keys_ending{within="30d"}']),
                         int(counts['gatehouse_secret_keys_ending{within="7d"}']) + 1)


if __name__ == "__main__":
    unittest.main()
