# SPDX-License-Identifier: Apache-2.0
"""Limits of a credential's own (C14): each holds for its tokens in place of the setting for all, shorter or longer, at once, on every
surface; nothing brings a dead token back; what is only observed ends and refuses nothing."""
import json
import os
import re
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
ISSUE = "/gatehouse.v1.AuthService/IssueToken"
IDLE = 20 * MINUTE  # the setting


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"flush_interval_ms": "20", "metrics_address": "127.0.0.1:0"}, clock=True)
        cls.addClassCleanup(cls.daemon.__exit__)

    def setUp(self):
        self.token = self.daemon.admin_token()

    def admin(self, method, **fields):
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(**fields),
                                                  metadata=Daemon.bearer(self.daemon.admin_token()), timeout=DEADLINE)

    def make(self, name, **limits):
        answer = self.daemon.create(self.daemon.admin_token(), name, ["work_creator"], limits=limits or None)
        return answer.credential.client_id, answer.secret_key

    def limit(self, client_id, validate_only=False, etag="", **limits):
        return self.admin("UpdateCredential", credential={"client_id": client_id, "etag": etag, "limits": limits or None},
                          update_mask=FieldMask(paths=["limits"]), validate_only=validate_only)

    def limits(self, client_id):
        return self.admin("GetCredential", client_id=client_id).credential.limits

    def is_active(self, token, use=False):
        return self.daemon.introspect(self.daemon.admin_token(), token, no_touch=not use).active

    def pass_time(self, seconds):
        self.daemon.pass_time(seconds)
        self.token = self.daemon.admin_token()


def seconds(count):
    return {"seconds": count}


class Times(Case):
    def test_a_shorter_idle_timeout_ends_its_tokens_and_no_others(self):
        client, secret = self.make("shorter", idle_timeout=seconds(MINUTE))
        other, others_secret = self.make("of all")
        issued = self.daemon.issue(client, secret)
        others = self.daemon.issue(other, others_secret).access_token
        self.assertEqual(issued.expires_in.seconds, MINUTE)
        answer = self.daemon.introspect(self.token, issued.access_token)
        self.assertEqual(answer.idle_timeout.seconds, MINUTE)
        self.assertLessEqual(answer.valid_for.seconds, MINUTE)
        self.assertEqual(self.admin("ListTokens", client_id=client).tokens[0].expire_time.seconds,
                         answer.expire_time.seconds)
        self.pass_time(MINUTE - 5)
        self.assertTrue(self.is_active(issued.access_token, use=True))
        self.pass_time(MINUTE - 5)
        self.assertTrue(self.is_active(issued.access_token))
        self.pass_time(6)
        self.assertFalse(self.is_active(issued.access_token))
        self.assertTrue(self.is_active(others))
        self.assertEqual(self.admin("ListTokens", client_id=client).total_size, 0)

    def test_a_longer_one_keeps_them_over_reaper_and_restart(self):
        client, secret = self.make("longer", idle_timeout=seconds(7 * DAY))
        token = self.daemon.issue(client, secret).access_token
        self.pass_time(6 * DAY)
        self.assertTrue(self.is_active(token))
        self.daemon.stop()
        self.daemon.start()
        self.assertTrue(self.is_active(token))
        self.assertEqual(self.limits(client).idle_timeout.seconds, 7 * DAY)
        self.pass_time(DAY)
        self.assertFalse(self.is_active(token))

    def test_a_use_that_is_reported_late_is_taken_by_a_longer_one(self):
        client, secret = self.make("reported", idle_timeout=seconds(2 * HOUR))
        token = self.daemon.issue(client, secret).access_token
        self.pass_time(HOUR + 30 * MINUTE)
        answer = self.daemon.introspect(self.token, token, used_ago=seconds(HOUR))
        self.assertTrue(answer.active)
        self.assertEqual(error_of(lambda: self.daemon.introspect(self.token, token, used_ago=seconds(30 * DAY))),
                         ("INVALID_ARGUMENT", "INVALID_FIELD", "used_ago"))

    def test_a_maximum_age_of_its_own(self):
        client, secret = self.make("aged", max_token_life=seconds(5 * MINUTE))
        issued = self.daemon.issue(client, secret)
        self.assertEqual(issued.expires_in.seconds, 5 * MINUTE)
        for _ in range(4):
            self.pass_time(MINUTE)
            self.assertTrue(self.is_active(issued.access_token, use=True))
        self.pass_time(MINUTE + 1)
        self.assertFalse(self.is_active(issued.access_token))

    def test_a_change_holds_at_once_is_foretold_and_brings_nothing_back(self):
        client, secret = self.make("changed")
        old = self.daemon.issue(client, secret).access_token
        self.pass_time(10 * MINUTE)
        young = self.daemon.issue(client, secret).access_token
        impact = self.limit(client, validate_only=True, idle_timeout=seconds(5 * MINUTE)).impact
        self.assertEqual((impact.tokens_ended, impact.credentials_affected), (1, 1))
        self.assertTrue(self.is_active(old))
        self.assertEqual(self.limit(client, idle_timeout=seconds(5 * MINUTE)).impact.tokens_ended, 1)
        self.assertFalse(self.is_active(old))
        self.assertTrue(self.is_active(young))
        self.assertEqual(self.limit(client, idle_timeout=seconds(DAY)).impact.tokens_ended, 0)
        self.assertFalse(self.is_active(old))
        self.assertEqual(self.limit(client).impact.tokens_ended, 0)  # none any more
        self.assertFalse(self.is_active(old))
        self.assertFalse(self.admin("GetCredential", client_id=client).credential.HasField("limits"))
        self.daemon.stop()
        self.daemon.start()
        self.assertFalse(self.is_active(old))
        self.assertTrue(self.is_active(young))
        events = self.admin("ListAuditEvents", filter=f"subject={client} AND action=UpdateCredential").events
        self.assertEqual([event.detail for event in events],
                         ["limits.idle_timeout: 86400 s -> none", "limits.idle_timeout: 300 s -> 86400 s",
                          "limits.idle_timeout: none -> 300 s; tokens ended: 1"])

    def test_a_stricter_setting_ends_nothing_of_a_credential_that_has_its_own(self):
        client, secret = self.make("own", idle_timeout=seconds(2 * HOUR), max_token_life=seconds(DAY))
        other, others_secret = self.make("as all")
        token, others = (self.daemon.issue(*pair).access_token for pair in ((client, secret), (other, others_secret)))
        self.pass_time(10 * MINUTE)

        def change(timeout, life, validate_only=False):
            return self.admin("UpdateSettings", settings={"idle_session_timeout": seconds(timeout), "max_token_life": life},
                              update_mask=FieldMask(paths=["idle_session_timeout", "max_token_life"]),
                              validate_only=validate_only).impact

        self.addCleanup(change, IDLE, None)
        foretold = change(5 * MINUTE, seconds(5 * MINUTE), validate_only=True)
        self.assertNotIn(client, [row.client_id for row in foretold.recent_usage])
        self.assertEqual(foretold.tokens_ended, change(5 * MINUTE, seconds(5 * MINUTE)).tokens_ended)
        self.assertGreater(foretold.tokens_ended, 0)
        self.assertTrue(self.is_active(token))
        self.assertFalse(self.is_active(others))
        with self.subTest("and without its own, the setting ends it"):
            self.assertEqual(self.limit(client, validate_only=True).impact.tokens_ended, 1)
            self.assertEqual(self.limit(client, max_token_life=seconds(DAY)).impact.tokens_ended, 1)

    def test_what_is_only_observed_ends_nothing(self):
        client, secret = self.make("observed", idle_timeout=seconds(MINUTE), max_token_life=seconds(2 * MINUTE),
                                   observe_only=["LIMIT_IDLE_TIMEOUT", "LIMIT_MAX_TOKEN_LIFE"])
        issued = self.daemon.issue(client, secret)
        self.assertEqual(issued.expires_in.seconds, IDLE)
        self.pass_time(5 * MINUTE)
        answer = self.daemon.introspect(self.token, issued.access_token)
        self.assertEqual((answer.active, answer.idle_timeout.seconds), (True, IDLE))
        self.assertEqual(self.limit(client, idle_timeout=seconds(10 * MINUTE), max_token_life=seconds(MINUTE),
                                    observe_only=["LIMIT_IDLE_TIMEOUT"]).impact.tokens_ended, 1)
        self.assertFalse(self.is_active(issued.access_token))


class Tokens(Case):
    FULL = ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS", "")
    FAST = ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS_PER_HOUR", "")

    def issue(self, pair, count=1):
        return [self.daemon.issue(*pair).access_token for _ in range(count)]

    def refused(self, pair, outcome):
        self.assertEqual(error_of(lambda: self.daemon.issue(*pair)), outcome)

    def revoke(self, token):
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=DEADLINE)

    def test_live_tokens_stricter_and_looser_than_the_setting(self):
        strict, free = self.make("few live", max_tokens=2), self.make("as many as it likes")
        tokens = self.issue(strict, 2)
        self.refused(strict, self.FULL)
        self.issue(free, 3)
        self.revoke(tokens[0])
        self.issue(strict)
        self.refused(strict, self.FULL)
        self.limit(strict[0], max_tokens=3)
        self.issue(strict)
        self.refused(strict, self.FULL)

        def setting(most):
            self.admin("UpdateSettings", settings={"max_tokens_per_credential": most},
                       update_mask=FieldMask(paths=["max_tokens_per_credential"]))
        self.limit(self.daemon.client_id, max_tokens=1_000_000)  # whoever asks here
        setting(1)
        self.addCleanup(setting, 0)
        self.refused(free, self.FULL)
        self.issue(self.make("looser", max_tokens=2), 2)

    def test_a_limit_below_what_is_live_lets_none_in_until_there_is_room(self):
        pair = self.make("lowered")
        tokens = self.issue(pair, 5)
        self.limit(pair[0], max_tokens=2)
        for token in tokens[:4]:
            self.refused(pair, self.FULL)
            self.revoke(token)
        self.issue(pair)
        self.refused(pair, self.FULL)

    def test_tokens_an_hour_whatever_becomes_of_them(self):
        pair = self.make("hourly", max_tokens_per_hour=3)
        for token in self.issue(pair, 3):
            self.revoke(token)
        self.refused(pair, self.FAST)
        self.daemon.stop()
        self.daemon.start()
        self.refused(pair, self.FAST)
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": pair[0], "client_secret": pair[1]})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.daemon.http + "/oauth/token", form.encode(), timeout=DEADLINE)
        with refused.exception as answer:
            self.assertEqual(answer.code, 429)
            wait = int(answer.headers["Retry-After"])
        self.assertGreater(wait, HOUR // 3 - 2 * MINUTE)
        self.assertLessEqual(wait, HOUR // 3 + 1)
        self.pass_time(wait)
        self.issue(pair)
        self.refused(pair, self.FAST)
        self.pass_time(HOUR + 1)
        self.issue(pair, 3)
        self.refused(pair, self.FAST)
        with self.subTest("and after a clock that was ahead, it is not refused until that time"):
            self.daemon.move_clock(DAY)
            self.issue(pair)
            self.daemon.move_clock(-DAY)
            self.issue(pair)

    def test_what_is_only_observed_is_counted_told_and_measured(self):
        names = ["LIMIT_IDLE_TIMEOUT", "LIMIT_MAX_TOKEN_LIFE", "LIMIT_MAX_TOKENS", "LIMIT_MAX_TOKENS_PER_HOUR"]
        fields = dict(idle_timeout=seconds(MINUTE), max_token_life=seconds(2 * MINUTE), max_tokens=1, max_tokens_per_hour=2,
                      observe_only=names)
        pair = self.make("observed only", **fields)
        before = self.measured()
        token = self.issue(pair, 4)[0]
        self.pass_time(90)
        self.assertTrue(self.is_active(token, use=True))
        self.assertTrue(self.is_active(token, use=True))
        self.pass_time(50)
        self.assertTrue(self.is_active(token))  # a look is no use
        self.assertTrue(self.is_active(token, use=True))
        counts = [1, 1, 3, 2]
        observed = self.limits(pair[0]).observed
        self.assertEqual([(pb.Limit.Name(each.limit), each.count) for each in observed], list(zip(names, counts)))
        self.assertTrue(all(0 < each.first_time.seconds <= each.last_time.seconds for each in observed))
        self.assertEqual({name: count - before[name] for name, count in self.measured().items()},
                         dict(zip(("idle_timeout", "max_token_life", "max_tokens", "max_tokens_per_hour"), counts)))
        self.assertEqual(self.usage(pair[0]), {"unnamed": (3, 0, 2), ISSUE: (0, 0, 3)})  # each call once, whatever would have refused it

        def told():
            events = self.admin("ListAuditEvents", filter=f"subject={pair[0]} AND action=LimitObserved").events
            return sorted(re.sub(r"refused \d+ so far", "", event.detail) for event in events)
        self.assertEqual(told(), ["idle timeout 60 s, observed only: would have ", "live tokens 1, observed only: would have ",
                                  "maximum token lifetime 120 s, observed only: would have ",
                                  "tokens issued an hour 2, observed only: would have "])
        self.issue(pair)  # within the hour: counted, and not told again
        self.assertEqual(self.limits(pair[0]).observed[2].count, 4)
        self.assertEqual(len(told()), 4)
        self.pass_time(HOUR)
        self.issue(pair, 2)
        self.assertEqual(len(told()), 5)  # one of the two tokens that are live then
        with self.subTest("usage keeps them, whatever becomes of the process"):
            self.assertEqual(self.usage(pair[0])[ISSUE], (0, 0, 5))
            self.daemon.kill()
            self.daemon.start()
            self.assertEqual(self.usage(pair[0]), {"unnamed": (3, 0, 2), ISSUE: (0, 0, 5)})
        with self.subTest("another limit is counted anew"):
            self.limit(pair[0], max_tokens=2, observe_only=["LIMIT_MAX_TOKENS"])
            self.assertEqual(list(self.limits(pair[0]).observed), [])

    def test_of_uses_that_are_reported_together_the_first_alone_can_come_after_a_pause(self):
        for field, observed in (("idle_timeout", 1), ("max_token_life", 5)):
            pair = self.make(f"reported {field}", observe_only=["LIMIT_IDLE_TIMEOUT", "LIMIT_MAX_TOKEN_LIFE"],
                             **{field: seconds(2 * MINUTE)})
            token = self.issue(pair)[0]
            self.pass_time(5 * MINUTE)
            self.daemon.introspect(self.token, token, api="GET /x", use_count=4, used_ago=seconds(4 * MINUTE))  # in time
            self.assertEqual(self.usage(pair[0]), {"GET /x": (4, 0, 0)})
            self.daemon.introspect(self.token, token, api="GET /x", use_count=5, required_roles=["team_leader"])
            self.assertEqual(self.usage(pair[0]), {"GET /x": (4, 5, observed)})

    def usage(self, client_id):
        rows = self.admin("QueryUsage", client_id=client_id, include_internal=True, group_by=["USAGE_GROUPING_API"]).rows
        return {row.api: (row.allowed, row.denied, row.observed) for row in rows}

    def measured(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=DEADLINE) as answer:
            text = answer.read().decode()
        return {name: int(float(count)) for name, count in
                re.findall(r'gatehouse_limits_observed_total\{limit="(\w+)"\} (\S+)', text)}


class Input(Case):
    def refused(self, **limits):
        return error_of(lambda: self.make("refused", **limits))

    def test_each_limit_has_the_range_of_its_setting(self):
        for field, wrong in (("idle_timeout", (0, -1, 59, 30 * DAY + 1)), ("max_token_life", (0, -1, 59, 3650 * DAY + 1))):
            for value in wrong:
                with self.subTest(field=field, value=value):
                    self.assertEqual(self.refused(**{field: seconds(value)}),
                                     ("INVALID_ARGUMENT", "INVALID_FIELD", f"credential.limits.{field}"))
        for field in ("max_tokens", "max_tokens_per_hour"):
            for value in (-1, 1_000_001):
                with self.subTest(field=field, value=value):
                    self.assertEqual(self.refused(**{field: value}),
                                     ("INVALID_ARGUMENT", "INVALID_FIELD", f"credential.limits.{field}"))
        self.assertEqual(self.refused(idle_timeout={"seconds": 60, "nanos": 1_000_000})[2], "credential.limits.idle_timeout")
        for names in (["LIMIT_UNSPECIFIED"], [17]):
            self.assertEqual(self.refused(idle_timeout=seconds(60), observe_only=names),
                             ("INVALID_ARGUMENT", "INVALID_FIELD", "credential.limits.observe_only"))

    def test_to_observe_what_is_not_set_is_nothing(self):
        client, _ = self.make("nothing", observe_only=["LIMIT_MAX_TOKENS"])
        self.assertFalse(self.admin("GetCredential", client_id=client).credential.HasField("limits"))

    def test_a_change_names_the_field_and_replaces_all(self):
        client, _ = self.make("replaced", idle_timeout=seconds(MINUTE), max_tokens=5)
        self.assertEqual(error_of(lambda: self.limit(client, max_tokens=-1)),
                         ("INVALID_ARGUMENT", "INVALID_FIELD", "credential.limits.max_tokens"))
        before = self.admin("GetCredential", client_id=client).credential
        self.limit(client, etag=before.etag, max_tokens=6)
        self.assertEqual(self.limits(client), pb.CredentialLimits(max_tokens=6))
        self.assertEqual(error_of(lambda: self.limit(client, etag=before.etag, max_tokens=7))[:2], ("ABORTED", "STALE_ETAG"))
        etag = self.admin("GetCredential", client_id=client).credential.etag
        self.assertEqual(self.limit(client, max_tokens=6).credential.etag, etag)  # nothing has changed

    def test_over_rest_they_are_durations_and_names(self):
        client, secret = self.make("over rest")

        def call(method, path, body, kind="application/json"):
            request = urllib.request.Request(self.daemon.http + path, body.encode(), method=method, headers={
                "Content-Type": kind, **({"Authorization": "Bearer " + self.token} if kind.endswith("json") else {})})
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return json.load(answer)
        answer = call("PATCH", f"/v1/credentials/{client}", json.dumps({
            "credential": {"limits": {"idleTimeout": "90s", "maxTokensPerHour": 7, "observeOnly": ["LIMIT_MAX_TOKENS_PER_HOUR"]}},
            "updateMask": "limits"}))
        self.assertEqual(answer["credential"]["limits"], {"idleTimeout": "90s", "maxTokensPerHour": 7,
                                                          "observeOnly": ["LIMIT_MAX_TOKENS_PER_HOUR"]})
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client, "client_secret": secret})
        self.assertEqual(call("POST", "/oauth/token", form, "application/x-www-form-urlencoded")["expires_in"], 90)

    def test_the_command_sets_shows_and_clears_them(self):
        def command(*words):
            return subprocess.run([os.environ["GATEHOUSE_COMMAND"], "--address", f"127.0.0.1:{self.daemon.grpc_port}", "--client-id",
                                   self.daemon.client_id, "--client-secret-file", self.daemon.secret_file, "credential", *words],
                                  capture_output=True, text=True, timeout=DEADLINE)
        made = command("create", "by command", "--role", "work_creator", "-o", "json", "--limits",
                       "idle_timeout=90m,max_tokens_per_hour=60:observe")
        self.assertEqual(made.returncode, 0, made.stderr)
        client = json.loads(made.stdout)["credential"]["clientId"]
        expected = pb.CredentialLimits(idle_timeout=seconds(90 * MINUTE), max_tokens_per_hour=60,
                                       observe_only=["LIMIT_MAX_TOKENS_PER_HOUR"])
        self.assertEqual(self.limits(client), expected)
        self.assertRegex(command("get", client).stdout,
                         r"Limits +idle_timeout=1h30m, max_tokens_per_hour=60 \(observed only: 0 so far\)")
        for wrong in ("idle_timeout", "idle_timeout=x", "max_tokens=0", "max_tokens=5:log", "tokens=5", "max_tokens=5x"):
            answer = command("update", client, "--yes", "--limits", "max_token_life=8h," + wrong)
            self.assertEqual(answer.returncode, 2, wrong)
            self.assertIn(f'"{wrong}" is not a limit', answer.stderr)
        self.assertEqual(self.limits(client), expected)
        self.assertEqual(command("update", client, "--yes", "--limits", "none").returncode, 0)
        self.assertFalse(self.admin("GetCredential", client_id=client).credential.HasField("limits"))


if __name__ == "__main__":
    unittest.main()
