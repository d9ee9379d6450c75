# SPDX-License-Identifier: Apache-2.0
"""CredentialAdmin over gRPC: long lists, usage, the audit log, settings, the reaper, limits on failures."""
import re
import sqlite3
import unittest
import urllib.request

from daemon import Daemon, error_of
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from support import AdminTest, looks_into_sqlite, until
from test_admin import DAY, INVALID, NO_CREDENTIAL, in_future

MANY = 10_000


class ManyCredentials(AdminTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        futures = [cls.daemon.admin.CreateCredential.future(pb.CreateCredentialRequest(
            credential=pb.Credential(name=f"Credential {i:05}", owner=f"owner {i % 10}",
                                     expire_time=in_future(days=i % 20 + 1) if i % 2 else None),
            roles=["work_creator", "team_leader"][:i % 2 + 1]), metadata=Daemon.bearer(cls.token)) for i in range(MANY)]
        cls.made = [future.result().credential.client_id for future in futures]

    def seen(self, page_size=1000, **fields):
        return [c.client_id for c in self.pages("ListCredentials", "credentials", page_size=page_size, **fields)]

    def test_every_credential_is_on_one_page_exactly_once_in_each_order(self):
        for order in ("", "name desc", "create_time", "expire_time desc", "last_use_time"):
            with self.subTest(order):
                ids = self.seen(order_by=order)
                self.assertEqual(len(ids), len(set(ids)))
                self.assertEqual(set(ids) ^ {*self.made, self.daemon.client_id}, set())
        self.assertTrue(self.seen(filter="name:credential", order_by="name desc") == self.made[::-1])

    def test_credentials_that_stay_are_seen_once_though_others_change_meanwhile(self):
        ids, page, number, added = [], "", 0, []
        while True:
            answer = self.admin("ListCredentials", filter='name:"credential 0"', page_size=97, page_token=page)
            ids += [c.client_id for c in answer.credentials]
            for client_id in self.made[number:number + 3]:  # on pages gone by, and to come
                self.admin("GrantRoles", client_id=client_id, roles=["work_assigner"])
            self.admin("DeleteCredential", client_id=self.made[9000 + number])
            added.append(self.create(f"Credential 0{number * 10:04}a")[0])
            page, number = answer.next_page_token, number + 5
            if not page:
                break
        for credential in added:
            self.admin("DeleteCredential", client_id=credential.client_id)
        for client_id in self.made[9000:9000 + number:5]:
            self.admin("UndeleteCredential", client_id=client_id)
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(set(self.made[:9000]) - set(ids), set())

    def test_filters(self):
        for text, count in [("owner=\"owner 3\"", MANY // 10), ("granted=team_leader", MANY // 2),
                            ("name:\"CREDENTIAL 0012\"", 10), (f"client_id={self.made[5].upper()}", 1),
                            ("name:\"credential 0\" AND owner=\"owner 1\" AND granted=team_leader", MANY // 10),
                            ("status=expired", 0), ("role=no_such_role", 0), ("name:\"no such\"", 0),
                            (f"expires<{in_future(days=10, hours=1).ToJsonString()} AND name:\"credential \"",
                             MANY // 4)]:
            with self.subTest(text):
                answer = self.admin("ListCredentials", filter=text, page_size=1)
                self.assertEqual(answer.total_size, count)
                self.assertEqual(len(answer.credentials), min(count, 1))

    def test_what_is_wrong_with_a_list_is_said(self):
        for text in ("name", "name:", "AND", "name:a name:b", "nonsense=1", "role:x", "status=odd", "name:\"open",
                     "expires<yesterday", "name:a AND", "x" * 1025, " AND ".join(["name:a"] * 17)):
            if text == "name:":
                continue  # contains nothing: everything does
            with self.subTest(text[:40]):
                self.refused("ListCredentials", (*INVALID, "filter"), filter=text)
        self.refused("ListCredentials", (*INVALID, "order_by"), order_by="size")
        self.refused("ListCredentials", (*INVALID, "page_size"), page_size=-1)

    def test_a_page_token_is_good_for_its_own_list_only(self):
        token = self.admin("ListCredentials", page_size=1, filter="granted=team_leader").next_page_token
        bad = ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "page_token")
        self.refused("ListCredentials", bad, page_token=token)
        self.refused("ListCredentials", bad, page_token=token, filter="granted=team_leader", order_by="create_time")
        self.refused("ListAuditEvents", bad, page_token=token)
        for i in range(0, len(token), 7):
            other = token[:i] + ("1" if token[i] == "0" else "0") + token[i + 1:]
            self.refused("ListCredentials", bad, page_token=other, filter="granted=team_leader")
        self.refused("ListCredentials", bad, page_token="zz", filter="granted=team_leader")
        self.assertEqual(len(self.admin("ListCredentials", page_token=token,
                                        filter="granted=team_leader").credentials), 50)


class Usage(AdminTest):
    settings = {"flush_interval_ms": "100"}

    def use(self, token, api, **fields):
        return self.daemon.introspect(self.token, token, api=api, **fields)

    def rows(self, credential, **fields):
        return {row.api: (row.allowed, row.denied)
                for row in self.pages("QueryUsage", "rows", client_id=credential.client_id, **fields)}

    def test_uses_are_counted_by_credential_and_normalised_api(self):
        credential, secret = self.create("used")
        token = self.issue(credential, secret).access_token
        for api in ("GET /cases/1", "GET /cases/22?page=3", "GET /cases/0b6e6e0e-3c1c-4a7e-9a53-6f1f4f3f2b11", "",
                    "POST /cases"):
            self.use(token, api)
        self.use(token, "POST /cases", required_roles=["team_leader"])
        self.use(token, "POST /cases", use_count=7)
        self.use(token, "POST /cases", no_touch=True)
        self.assertEqual(self.rows(credential), {"GET /cases/{id}": (3, 0), "unnamed": (1, 0), "POST /cases": (8, 1)})
        self.assertEqual(self.rows(credential, api="POST /cases"), {"POST /cases": (8, 1)})
        rows = list(self.pages("QueryUsage", "rows", client_id=credential.client_id, order="USAGE_ORDER_CALLS", page_size=1))
        self.assertEqual([row.api for row in rows], ["POST /cases", "GET /cases/{id}", "unnamed"])
        self.assertTrue(all(row.credential_name == "used" and row.first_use_time.seconds <= row.last_use_time.seconds
                            for row in rows))
        hours = list(self.pages("QueryUsage", "rows", client_id=credential.client_id,
                                group_by=[pb.USAGE_GROUPING_HOUR]))
        self.assertEqual(sum(row.allowed for row in hours), 12)
        self.assertTrue(all(row.start_time.seconds % 3600 == 0 and row.api == row.client_id == "" for row in hours))
        tokens = self.admin("ListTokens", client_id=credential.client_id).tokens
        self.assertEqual([info.last_api for info in tokens], ["POST /cases"])

    def test_a_use_that_is_reported_late_keeps_its_own_time(self):
        credential, secret = self.create("late")
        token = self.issue(credential, secret).access_token
        self.use(token, "GET /x")
        now = self.get(credential).last_use_time
        self.use(token, "GET /x", used_ago=Duration(seconds=600))
        rows = list(self.pages("QueryUsage", "rows", client_id=credential.client_id,
                               group_by=[pb.USAGE_GROUPING_API]))
        self.assertEqual([row.allowed for row in rows], [2])
        self.assertEqual(rows[0].last_use_time, now)
        self.assertTrue(595 < now.seconds - rows[0].first_use_time.seconds < 660)
        self.assertEqual(self.get(credential).last_use_time, now)

    def test_a_name_that_is_cut_or_is_no_utf8_spoils_no_answer(self):
        credential, secret = self.create("utf-8")
        token = self.issue(credential, secret).access_token
        for i in range(4):
            self.use(token, "GET" + "x" * i + "/1" * 30 + "/" + "\u00e9" * 90)
        raw = self.daemon.channel.unary_unary("/gatehouse.v1.AuthService/Introspect")
        request = auth.IntrospectRequest(token=token).SerializeToString() + b"\x12\x02\xff\xfe"
        self.assertEqual(error_of(lambda: raw(request, metadata=Daemon.bearer(self.token)))[0], "INVALID_ARGUMENT")
        self.assertEqual(len(self.rows(credential)), 4)

    def test_a_flood_of_apis_is_bounded_and_counted_as_other(self):
        credential, secret = self.create("flood")
        token = self.issue(credential, secret).access_token
        for start in range(0, 3000, 100):
            requests = [auth.BatchIntrospectEntry(token=token, api=f"GET /x{i}y") for i in range(start, start + 100)]
            self.daemon.auth.BatchIntrospect(auth.BatchIntrospectRequest(requests=requests),
                                             metadata=Daemon.bearer(self.token))
        rows = self.rows(credential, page_size=1000)
        self.assertEqual(sum(allowed for allowed, _ in rows.values()), 3000)
        self.assertLessEqual(len(rows), 257)
        self.assertEqual(rows["other"], (3000 - 256, 0))

    def test_what_is_wrong_with_a_question_is_said(self):
        self.refused("QueryUsage", (*INVALID, "group_by"), group_by=[99])
        self.refused("QueryUsage", (*INVALID, "api"), api="x" * 257)
        self.refused("QueryUsage", (*INVALID, "start_time"), start_time=Timestamp(seconds=-1))

    def test_an_introspection_is_no_write(self):
        credential, secret = self.create("no write")
        with Daemon({"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0",
                     "flush_interval_ms": "60000"}) as daemon:
            caller = daemon.admin_token()
            made = daemon.create(caller, "no write")
            token = daemon.issue(made.credential.client_id, made.secret_key).access_token
            before = self.counter(daemon, "gatehouse_store_writes_total")
            for _ in range(100):
                requests = [auth.BatchIntrospectEntry(token=token, api="GET /")] * 100
                answer = daemon.auth.BatchIntrospect(auth.BatchIntrospectRequest(requests=requests),
                                                     metadata=Daemon.bearer(caller))
                self.assertTrue(all(response.active for response in answer.responses))
            self.assertLessEqual(self.counter(daemon, "gatehouse_store_writes_total") - before, 4)
            rows = daemon.admin.QueryUsage(pb.QueryUsageRequest(client_id=made.credential.client_id),
                                           metadata=Daemon.bearer(caller)).rows
            self.assertEqual([row.allowed for row in rows], [10_000])

    def counter(self, daemon, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=60) as response:
            text = response.read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


class Flood(AdminTest):
    def test_a_flood_of_refusals_is_few_rows(self):
        before = self.admin("ListAuditEvents", page_size=1).events[0].sequence
        for _ in range(500):
            error_of(lambda: self.daemon.auth.Introspect(auth.IntrospectRequest(token="x")))
        events = [e for e in self.admin("ListAuditEvents", page_size=1000).events if e.sequence > before]
        self.assertLess(len(events), 20)
        self.assertTrue(any(e.action == "CallerRefused" for e in events))


class Audit(AdminTest):
    clock = True

    def forget_refusals(self):
        """So that the next one is an event at once: those that were counted are told, and then their minute is over."""
        for _ in range(2):
            self.daemon.pass_time(61)
            self.admin("ListAuditEvents", page_size=1)

    def test_every_act_is_in_the_log_and_no_secret(self):
        credential, secret = self.create("audited")
        token = self.issue(credential, secret).access_token
        acts = [("CreateCredential", {}), ("GrantRoles", dict(roles=["team_leader"])), ("RegenerateSecret", {}),
                ("RevokeRoles", dict(roles=["team_leader"])), ("EndTokens", {}), ("DeleteCredential", {}),
                ("UndeleteCredential", {})]
        for method, fields in acts[1:]:
            self.admin(method, client_id=credential.client_id, **fields)
        self.refused("UndeleteCredential", ("FAILED_PRECONDITION", "NOT_DELETED"), client_id=credential.client_id)
        self.forget_refusals()
        error_of(lambda: self.issue(credential, "gate_sk_wrong"))
        events = list(self.pages("ListAuditEvents", "events", page_size=3, filter=f"subject={credential.client_id}"))
        self.assertEqual([event.action for event in events if event.outcome == "OK"], [m for m, _ in acts][::-1])
        self.assertTrue(all(e.actor == self.daemon.client_id and e.peer == "127.0.0.1" and e.request_id
                            for e in events if e.outcome == "OK"))
        others = {(event.action, event.outcome) for event in events if event.outcome != "OK"}
        self.assertEqual(others, {("UndeleteCredential", "FAILED_PRECONDITION"), ("ClientRefused", "UNAUTHENTICATED")})
        self.forget_refusals()
        error_of(lambda: self.daemon.issue("gate_sk_in_the_wrong_field", "x"))
        everything = str(list(self.pages("ListAuditEvents", "events")))
        self.assertIn("malformed", everything)
        for text in (secret, token, "gate_sk_", "gate_at_"):
            self.assertNotIn(text, everything)
        numbers = [event.sequence for event in self.pages("ListAuditEvents", "events", page_size=4)]
        self.assertEqual(numbers, list(range(numbers[0], 0, -1)))

    def test_the_log_is_filtered(self):
        credential, _ = self.create("filtered")
        for text, is_there in [("action=CreateCredential", True), ("outcome=OK AND peer=127.0.0.1", True),
                               ("detail:\"name: FILTERED\"", True), ("detail:\"100%\"", False), ("actor=nobody", False),
                               ("time>2100-01-01T00:00:00Z", False), ("time<2100-01-01T00:00:00+02:00", True)]:
            with self.subTest(text):
                events = self.admin("ListAuditEvents", filter=text, page_size=1000).events
                self.assertEqual(credential.client_id in [event.subject for event in events], is_there)
        self.refused("ListAuditEvents", (*INVALID, "filter"), filter="name:x")

    def verify_after(self, *statements):
        """What VerifyAuditLog says after these were done to the database while the daemon was down."""
        with Daemon({"http_address": ""}) as daemon:
            token = daemon.admin_token()
            for i in range(10):
                daemon.create(token, f"c{i}")
            daemon.stop()
            with sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
                for statement in statements:
                    self.assertEqual(database.execute(statement).rowcount, 1)
            database.close()
            daemon.start()
            answer = daemon.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(),
                                                 metadata=Daemon.bearer(daemon.admin_token()))
            self.assertEqual(self.verify_by_parts(daemon), (answer.intact, answer.first_broken_sequence))
            daemon.admin.ListAuditEvents(pb.ListAuditEventsRequest(), metadata=Daemon.bearer(daemon.admin_token()))
            return answer.intact, answer.first_broken_sequence

    def verify_by_parts(self, daemon):
        token, bearer = "", Daemon.bearer(daemon.admin_token())
        while True:
            answer = daemon.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(page_size=3, page_token=token), metadata=bearer)
            self.assertLessEqual(answer.events_checked, 3)
            self.assertGreaterEqual(answer.total_size, 10)
            token = answer.next_page_token
            if not token:
                return answer.intact, answer.first_broken_sequence

    @looks_into_sqlite
    def test_an_untouched_log_is_intact(self):
        self.assertEqual(self.verify_after(), (True, 0))

    @looks_into_sqlite
    def test_a_row_that_was_altered_or_removed_shows(self):
        for statement, broken in [
                ("UPDATE audit SET actor = 'somebody' WHERE sequence = 5", {5}),
                ("UPDATE audit SET detail = 'nothing' WHERE sequence = 1", {1}),
                ("UPDATE audit SET at = at + 1 WHERE sequence = 7", {7}),
                ("UPDATE audit SET actor = NULL, detail = NULL WHERE sequence = 7", {7}),
                ("UPDATE audit SET hash = NULL WHERE sequence = 7", {7}),
                ("DELETE FROM audit WHERE sequence = 4", {4}), ("DELETE FROM audit WHERE sequence = 1", {1}),
                ("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)", {11, 12})]:
            with self.subTest(statement):
                intact, first = self.verify_after(statement)
                self.assertFalse(intact)
                self.assertIn(first, broken)


class Settings(AdminTest):
    def test_defaults_and_ranges(self):
        settings = self.admin("GetSettings").settings
        self.assertEqual((settings.idle_session_timeout.seconds, settings.max_tokens_per_credential,
                          settings.deletion_retention.seconds, settings.usage_retention.seconds), (1200, 0, 30 * DAY,
                                                                                                   400 * DAY))
        self.assertFalse(settings.HasField("max_token_life"))
        for field, values in {"idle_session_timeout": (59, 30 * DAY + 1), "max_token_life": (59, 3650 * DAY + 1),
                              "deletion_retention": (-1, 3650 * DAY + 1), "usage_retention": (DAY - 1, 3650 * DAY + 1),
                              "max_tokens_per_credential": (-1, 1_000_001)}.items():
            for value in values:
                with self.subTest(field, value=value):
                    got = error_of(lambda: self.set_settings(**{field: value}))
                    self.assertEqual(got, (*INVALID, "settings." + field))
        uneven = pb.Settings(idle_session_timeout=Duration(seconds=90, nanos=1000))
        self.refused("UpdateSettings", (*INVALID, "settings.idle_session_timeout"), settings=uneven,
                     update_mask=FieldMask(paths=["idle_session_timeout"]))
        self.refused("UpdateSettings", (*INVALID, "update_mask"), settings=pb.Settings())
        self.refused("UpdateSettings", (*INVALID, "settings"), update_mask=FieldMask(paths=["max_token_life"]))
        self.assertEqual(self.admin("GetSettings").settings, settings)

    def test_the_whole_range_is_taken_and_cleared_again(self):
        for idle in (60, 30 * DAY):
            self.assertEqual(self.set_settings(idle_session_timeout=idle).settings.idle_session_timeout.seconds, idle)
        self.set_settings(max_token_life=60, max_tokens_per_credential=1_000_000, deletion_retention=0,
                          usage_retention=DAY)
        type(self).token = self.daemon.admin_token()
        cleared = self.set_settings("idle_session_timeout", "max_token_life", "max_tokens_per_credential",
                                    "deletion_retention", "usage_retention").settings
        self.assertEqual((cleared.idle_session_timeout.seconds, cleared.HasField("max_token_life"),
                          cleared.deletion_retention.seconds), (1200, False, 30 * DAY))

    def test_each_setting_of_the_contract_is_stored_and_told(self):
        before = self.admin("GetSettings").settings
        for field in pb.Settings.DESCRIPTOR.fields:
            if field.name == "etag":
                continue
            with self.subTest(field.name):
                number = 77 if field.message_type is None else 5 * DAY
                self.set_settings(**{field.name: number})
                value = getattr(self.admin("GetSettings").settings, field.name)
                self.assertEqual(value if field.message_type is None else value.seconds, number)
                told = self.admin("ListAuditEvents", page_size=1).events[0].detail
                self.assertRegex(told, f"^{field.name}: .* -> {number}")
                cleared = self.set_settings(field.name).settings
                cleared.etag = before.etag
                self.assertEqual(cleared, before)

    def test_a_cap_on_live_tokens(self):
        credential, secret = self.create("capped")
        self.set_settings(max_tokens_per_credential=3)
        tokens = [self.issue(credential, secret) for _ in range(3)]
        self.assertEqual(error_of(lambda: self.issue(credential, secret))[:2],
                         ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS"))
        self.admin("EndToken", accessor=tokens[0].accessor)
        self.issue(credential, secret)
        self.set_settings("max_tokens_per_credential")

    def test_a_stale_etag(self):
        etag = self.admin("GetSettings").settings.etag
        self.set_settings(max_tokens_per_credential=9, etag=etag)
        self.assertEqual(error_of(lambda: self.set_settings(max_tokens_per_credential=8, etag=etag))[:2],
                         ("ABORTED", "STALE_ETAG"))
        self.assertEqual(self.admin("GetSettings").settings.max_tokens_per_credential, 9)
        self.set_settings("max_tokens_per_credential")


class Time(AdminTest):
    clock = True
    settings = {"flush_interval_ms": "20"}

    def wait(self, seconds):
        self.daemon.pass_time(seconds)
        type(self).token = self.daemon.admin_token()

    @looks_into_sqlite
    def test_a_deleted_credential_is_purged_after_its_retention_and_not_before(self):
        kept, _ = self.create("kept")
        purged, secret = self.create("purged")
        token = self.issue(purged, secret).access_token
        self.daemon.introspect(self.token, token, api="GET /purged")
        self.admin("DeleteCredential", client_id=purged.client_id)
        self.wait(20 * DAY)
        self.admin("DeleteCredential", client_id=kept.client_id)
        self.wait(10 * DAY + 1)
        self.until_gone(purged)
        self.assertEqual(self.get(kept).status, pb.CREDENTIAL_STATUS_DELETED)
        self.refused("UndeleteCredential", NO_CREDENTIAL, client_id=purged.client_id)
        self.assertFalse(self.is_active(token))
        self.daemon.kill()
        self.daemon.start()
        type(self).token = self.daemon.admin_token()
        self.refused("GetCredential", NO_CREDENTIAL, client_id=purged.client_id)
        self.assertFalse(self.is_active(token))
        ids = {c.client_id for c in self.admin("ListCredentials", filter="status=any").credentials}
        self.assertIn(kept.client_id, ids)
        self.assertNotIn(purged.client_id, ids)
        with sqlite3.connect(f"file:{self.daemon.folder}/gatehouse.db?mode=ro", uri=True) as database:
            until(lambda: database.execute("SELECT count(*) FROM secret WHERE credential NOT IN (SELECT id FROM "
                                           "credential)").fetchone() == (0,))
        database.close()

    def until_gone(self, credential):
        def is_gone():
            try:
                self.get(credential)
            except Exception:
                return True
            return False
        until(is_gone)
        self.refused("GetCredential", NO_CREDENTIAL, client_id=credential.client_id)

    @looks_into_sqlite
    def test_dead_tokens_and_old_usage_leave_the_store(self):
        credential, secret = self.create("old usage")
        token = self.issue(credential, secret).access_token
        self.daemon.introspect(self.token, token, api="GET /old")
        whole = dict(client_id=credential.client_id, start_time=Timestamp(seconds=1))
        self.assertEqual(len(self.admin("QueryUsage", **whole).rows), 1)
        self.wait(400 * DAY + 3601)
        until(lambda: not self.admin("QueryUsage", **whole).rows)
        with sqlite3.connect(f"file:{self.daemon.folder}/gatehouse.db?mode=ro", uri=True) as database:
            until(lambda: database.execute("SELECT count(*) FROM token").fetchone()[0] <= 2)
        database.close()

    @looks_into_sqlite
    def test_a_use_older_than_the_flush_interval_outlives_a_crash(self):
        credential, secret = self.create("crash")
        token = self.issue(credential, secret).access_token
        self.wait(1100)
        self.assertTrue(self.daemon.introspect(self.token, token).active)
        with sqlite3.connect(f"file:{self.daemon.folder}/gatehouse.db?mode=ro", uri=True) as database:
            until(lambda: database.execute(
                "SELECT t.last_used > c.created + 1000000000 FROM token t JOIN credential c ON c.id = t.credential "
                "WHERE c.client_id = ?", (credential.client_id,)).fetchone() == (1,))
        database.close()
        self.daemon.kill()
        self.daemon.start()
        self.daemon.pass_time(150)  # 1250 s after its issue, 150 after its use
        type(self).token = self.daemon.admin_token()
        self.assertTrue(self.is_active(token))
        self.wait(1051)
        self.assertFalse(self.is_active(token))


class Failures(AdminTest):
    clock = True

    def test_too_many_failures_are_refused_and_a_valid_secret_never_is(self):
        credential, secret = self.create("throttled")
        wrong = [error_of(lambda: self.issue(credential, "gate_sk_wrong"))[:2] for _ in range(60)]
        self.assertEqual(wrong[:20], [("UNAUTHENTICATED", "INVALID_CLIENT")] * 20)
        self.assertEqual(wrong[-10:], [("RESOURCE_EXHAUSTED", "TOO_MANY_FAILURES")] * 10)
        for _ in range(40):
            self.assertTrue(self.issue(credential, secret).access_token)
        other, other_secret = self.create("another of this address")
        self.assertTrue(self.issue(other, other_secret).access_token)
        self.assertEqual(error_of(lambda: self.issue(other, "x"))[:2], ("RESOURCE_EXHAUSTED", "TOO_MANY_FAILURES"))
        self.daemon.pass_time(61)
        self.assertEqual(error_of(lambda: self.issue(credential, "x"))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))


if __name__ == "__main__":
    unittest.main()
