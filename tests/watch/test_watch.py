# SPDX-License-Identifier: Apache-2.0
"""Watch, by a client that speaks it itself: what it is told, in which order, and what becomes of a stream."""
import os
import time
import unittest
import urllib.request

from google.protobuf import timestamp_pb2
from google.rpc import error_details_pb2, status_pb2
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb

from daemon import DEADLINE, Daemon, error_of
from watcher import ALL, BEHIND, CREDENTIAL, TOKEN, UNKNOWN, Ended, Watcher, seconds


def details_of(ended):
    """ErrorInfo.reason and RetryInfo in seconds."""
    reason, retry = "", None
    for key, value in ended.trailers or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info, retry_info = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(retry_info):
                    retry = retry_info.retry_delay.seconds + retry_info.retry_delay.nanos / 1e9
    return reason, retry


class Case(unittest.TestCase):
    SETTINGS = {}

    def setUp(self):
        self.daemon = Daemon({"metrics_address": "127.0.0.1:0", **self.SETTINGS}, clock=True)
        self.daemon.__enter__()
        self.addCleanup(lambda: self.daemon.__exit__(None, None, None))
        self.admin = self.daemon.admin_token()
        self.metadata = Daemon.bearer(self.admin)
        self.server = self.create("service", roles=["resource_server"])
        self.caller = self.daemon.issue(self.server.credential.client_id, self.server.secret_key).access_token

    def watch(self, **fields):
        watcher = Watcher(self.daemon, fields.pop("token", self.caller), **fields)
        self.addCleanup(watcher.__exit__)
        if not fields:  # on PostgreSQL the log may not have told yet what came before
            watcher.reach(self.last)
            watcher.events.clear()
        return watcher

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=60) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.rsplit(" ", 1)[1])
        raise AssertionError("no " + name)

    def ask(self, method, request):
        answer = getattr(self.daemon.admin, method)(request, metadata=self.metadata, timeout=DEADLINE)
        self.last = answer.position if answer.HasField("position") else self.last
        return answer

    def create(self, name, **fields):
        made = self.daemon.create(self.admin, name, **fields)
        self.last = made.position
        return made

    def token_of(self, made):
        return self.daemon.issue(made.credential.client_id, made.secret_key)


class Events(Case):
    def check(self, watcher, answer, kind, subject=""):
        """The change that the answer tells is the event that comes, and nothing comes beside it."""
        before = len(watcher.events)
        watcher.reach(answer.position)
        watcher.ping()
        self.assertEqual(len(watcher.events), before + 1)
        event = watcher.events[-1]
        self.assertEqual(answer.position, event.position)
        self.assertNotEqual(event.position.change_id, 0)
        self.assertEqual((event.kind, event.accessor or event.client_id), (kind, subject))

    def test_every_change_that_ends_tokens_is_told(self):
        watcher = self.watch()
        self.assertEqual(watcher.first.WhichOneof("kind"), "reset")
        made = self.create("told")
        client_id = made.credential.client_id
        self.check(watcher, made, CREDENTIAL, client_id)
        issued = self.token_of(made)
        answer = self.daemon.auth.Revoke(auth.RevokeRequest(token=issued.access_token), timeout=DEADLINE,
                                         metadata=Daemon.bearer(issued.access_token))
        self.check(watcher, answer, TOKEN, issued.accessor)
        issued = self.token_of(made)
        self.check(watcher, self.ask("EndToken", pb.EndTokenRequest(accessor=issued.accessor)), TOKEN, issued.accessor)
        self.token_of(made)
        self.check(watcher, self.ask("EndTokens", pb.EndTokensRequest(client_id=client_id)), CREDENTIAL, client_id)
        of = {"client_id": client_id}
        self.check(watcher, self.ask("GrantRoles", pb.GrantRolesRequest(roles=["work_assigner"], **of)), CREDENTIAL, client_id)
        self.check(watcher, self.ask("RevokeRoles", pb.RevokeRolesRequest(roles=["work_assigner"], **of)), CREDENTIAL, client_id)
        self.check(watcher, self.ask("RegenerateSecret", pb.RegenerateSecretRequest(**of)), CREDENTIAL, client_id)
        past = timestamp_pb2.Timestamp(seconds=int(time.time()) - 10)
        self.check(watcher, self.ask("UpdateCredential", pb.UpdateCredentialRequest(
            credential=pb.Credential(expire_time=past, **of), update_mask={"paths": ["expire_time"]})), CREDENTIAL, client_id)
        self.check(watcher, self.ask("DeleteCredential", pb.DeleteCredentialRequest(**of)), CREDENTIAL, client_id)
        self.check(watcher, self.ask("UndeleteCredential", pb.UndeleteCredentialRequest(**of)), CREDENTIAL, client_id)

    def test_an_owners_roles_end_the_tokens_of_its_credentials(self):
        self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=["work_creator", "work_assigner"]))
        owned = self.create("owned", owner="owner").credential.client_id
        watcher = self.watch()
        self.check(watcher, self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=["work_assigner"])),
                   CREDENTIAL, owned)
        watcher.reach(self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=["work_creator"])).position)
        self.check(watcher, self.ask("DeleteUser", pb.DeleteUserRequest(user="owner")), CREDENTIAL, owned)

    def test_what_may_concern_any_token_concerns_all(self):
        watcher = self.watch()
        settings = pb.Settings(idle_session_timeout=seconds(600))
        self.check(watcher, self.ask("UpdateSettings", pb.UpdateSettingsRequest(
            settings=settings, update_mask={"paths": ["idle_session_timeout"]})), ALL)
        role = pb.Role(role_id="of_ours", name="Ours", group="Ours")
        self.check(watcher, self.ask("CreateRole", pb.CreateRoleRequest(role=role)), ALL)
        role.retired = True
        self.check(watcher, self.ask("UpdateRole", pb.UpdateRoleRequest(role=role, update_mask={"paths": ["retired"]})), ALL)

    def test_a_dry_run_and_a_failure_change_nothing_and_tell_nothing(self):
        watcher = self.watch()
        dry = self.ask("EndTokens", pb.EndTokensRequest(client_id=self.server.credential.client_id, validate_only=True))
        self.assertFalse(dry.HasField("position"))
        error_of(lambda: self.ask("DeleteCredential", pb.DeleteCredentialRequest(client_id="none")))
        watcher.ping()
        self.assertEqual(watcher.events, [])

    def test_revoking_a_token_that_the_database_has_lost_is_told(self):
        """A failover may have lost its issue, while caches hold it (W8)."""
        made = self.create("lost")
        issued = self.token_of(made)
        watcher = self.watch()
        watcher.reach(self.ask("EndToken", pb.EndTokenRequest(accessor=issued.accessor)).position)
        again = self.ask("EndToken", pb.EndTokenRequest(accessor=issued.accessor))  # the row is gone
        self.check(watcher, again, TOKEN, issued.accessor)
        again = self.daemon.auth.Revoke(auth.RevokeRequest(token=issued.access_token), metadata=self.metadata, timeout=DEADLINE)
        self.check(watcher, again, TOKEN, issued.accessor)

    def test_a_thousand_changes_come_to_every_watcher_in_order_and_before_the_pong(self):
        made = self.create("many")
        tokens = [self.token_of(made) for _ in range(300)]
        watchers = [self.watch() for _ in range(5)]
        for issued in tokens:
            position = self.ask("EndToken", pb.EndTokenRequest(accessor=issued.accessor)).position
        for watcher in watchers:
            watcher.reach(position)
            self.assertEqual([event.accessor for event in watcher.events], [issued.accessor for issued in tokens])


class Begin(Case):
    def test_it_goes_on_where_it_was(self):
        first = self.watch()
        self.assertEqual(first.resets, [UNKNOWN])
        first.reach(self.create("one").position)
        first.hang_up()
        two = self.create("two")
        second = self.watch(since=first.position)
        self.assertEqual(second.first.WhichOneof("kind"), "resumed")
        self.assertEqual(second.first.position, first.position)
        second.reach(two.position)
        self.assertEqual([event.client_id for event in second.events], [two.credential.client_id])

    def test_it_goes_on_over_a_restart_and_a_crash(self):
        watcher = self.watch()
        watcher.reach(self.create("one").position)
        for end in self.daemon.stop, self.daemon.kill:
            position = watcher.position
            made = self.create(end.__name__)
            end()
            self.daemon.start()
            watcher = self.watch(since=position)
            self.assertEqual(watcher.first.WhichOneof("kind"), "resumed")
            watcher.reach(made.position)
            self.assertEqual([event.client_id for event in watcher.events], [made.credential.client_id])

    def test_a_position_that_the_server_does_not_know_is_reset(self):
        known = self.watch().position
        other = auth.Position(revision=known.revision, change_id=known.change_id ^ 1)
        no_id = auth.Position(revision=known.revision)
        future = auth.Position(revision=known.revision + 1, change_id=5)
        far = auth.Position(revision=2**63 - 1, change_id=-1)
        for since in other, no_id, future, far:
            watcher = self.watch(since=since)
            self.assertEqual((watcher.resets, watcher.position), ([UNKNOWN], known))

    def test_a_lease_is_granted_up_to_the_servers(self):
        for wanted, granted in ((None, 1), (0.05, 0.05), (0.5, 0.5), (1, 1), (3600 * 24 * 3000, 1)):
            lease = self.watch(lease=seconds(wanted) if wanted else None).first.lease
            self.assertAlmostEqual(lease.seconds + lease.nanos / 1e9, granted)

    def test_a_wrong_beginning_is_refused(self):
        def reason(**request):
            watcher = self.watch(begin=False)
            watcher.say(**request)
            ended = watcher.end()
            return ended.code.name, details_of(ended)[0]

        bad = ("INVALID_ARGUMENT", "INVALID_FIELD")
        self.assertEqual(reason(), bad)
        self.assertEqual(reason(ping=auth.WatchPing(number=1)), bad)
        self.assertEqual(reason(begin=auth.WatchBegin(since=auth.Position(revision=-1))), bad)
        for lease in (0.01, -1, 3600 * 24 * 365 * 100):
            self.assertEqual(reason(begin=auth.WatchBegin(lease=seconds(lease))), bad)

    def test_a_second_beginning_ends_the_stream(self):
        watcher = self.watch()
        watcher.say(begin=auth.WatchBegin())
        ended = watcher.end()
        self.assertEqual((ended.code.name, details_of(ended)[0]), ("INVALID_ARGUMENT", "INVALID_FIELD"))

    def test_who_may_not_introspect_may_not_watch(self):
        made = self.create("none of it")
        for token, code, reason in ((None, "UNAUTHENTICATED", "CALLER_UNKNOWN"),
                                    ("gate_at_nonsense", "UNAUTHENTICATED", "CALLER_UNKNOWN"),
                                    (self.token_of(made).access_token, "PERMISSION_DENIED", "CALLER_NOT_ALLOWED")):
            watcher = self.watch(token=token, begin=False)
            watcher.say(begin=auth.WatchBegin())
            ended = watcher.end()
            self.assertEqual((ended.code.name, details_of(ended)[0]), (code, reason))


class Life(Case):
    def check_end(self, watcher, code, reason):
        ended = watcher.end()
        self.assertEqual((ended.code.name, details_of(ended)[0]), (code, reason))

    def test_the_callers_token_takes_its_stream_along(self):
        for method, request in (("EndToken", None),
                                ("EndTokens", pb.EndTokensRequest(client_id=self.server.credential.client_id)),
                                ("GrantRoles", pb.GrantRolesRequest(client_id=self.server.credential.client_id, roles=["work_creator"])),
                                ("DeleteCredential", pb.DeleteCredentialRequest(client_id=self.server.credential.client_id))):
            issued = self.token_of(self.server)
            other = self.watch(token=self.admin_server())
            watcher = self.watch(token=issued.access_token)
            watcher.ping()
            self.ask(method, request or pb.EndTokenRequest(accessor=issued.accessor))
            self.check_end(watcher, "UNAUTHENTICATED", "CALLER_UNKNOWN")
            other.ping()  # and no other's

    def admin_server(self):
        made = self.create(f"another {time.monotonic()}", roles=["resource_server"])
        return self.token_of(made).access_token

    def test_a_stream_that_reads_nothing_loses_its_right_all_the_same(self):
        """What ends its token comes after more than it takes."""
        issued = self.token_of(self.server)
        watcher = self.watch(token=issued.access_token)
        self.ask("UpdateSettings", pb.UpdateSettingsRequest(  # ends it by the clock alone
            settings=pb.Settings(idle_session_timeout=seconds(60)), update_mask={"paths": ["idle_session_timeout"]}))
        watcher.ping()
        self.daemon.pass_time(70)
        self.check_end(watcher, "UNAUTHENTICATED", "CALLER_UNKNOWN")

    def test_pings_keep_the_callers_token_alive(self):
        self.ask("UpdateSettings", pb.UpdateSettingsRequest(
            settings=pb.Settings(idle_session_timeout=seconds(60)), update_mask={"paths": ["idle_session_timeout"]}))
        watcher = self.watch()
        for _ in range(4):
            self.daemon.pass_time(25)
            self.admin = self.daemon.admin_token()
            used = self.metric("gatehouse_watch_pings_total")
            end = time.monotonic() + 60
            while True:  # until the server has looked at its right, which it does once a second
                watcher.ping()
                tokens = self.daemon.admin.ListTokens(pb.ListTokensRequest(client_id=self.server.credential.client_id),
                                                      metadata=Daemon.bearer(self.admin), timeout=DEADLINE).tokens
                left = tokens[0].expire_time.seconds - tokens[0].last_use_time.seconds if tokens else 0
                age = self.daemon_time() - tokens[0].last_use_time.seconds if tokens else 99
                if age < 20:
                    break
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            self.assertGreater(self.metric("gatehouse_watch_pings_total"), used)
            self.assertGreaterEqual(left, 59)

    def daemon_time(self):
        import struct
        return time.time() + struct.unpack("qq", self.daemon.shift[:16])[0] / 1e6

    def test_it_ends_by_itself_and_goes_on(self):
        watcher = self.watch()
        watcher.ping()
        self.daemon.pass_time(599)
        watcher.ping()
        self.daemon.pass_time(182)
        self.assertEqual(watcher.end().code.name, "OK")

    def test_a_client_that_has_said_its_last_is_let_go(self):
        watcher = self.watch()
        watcher.requests.put(None)
        self.assertEqual(watcher.end().code.name, "OK")

    def test_a_drain_sends_each_away_for_another_time(self):
        watchers = [self.watch() for _ in range(20)]
        self.daemon.process.terminate()
        retries = set()
        for watcher in watchers:
            ended = watcher.end()
            reason, retry = details_of(ended)
            self.assertEqual((ended.code.name, reason), ("UNAVAILABLE", "DRAINING"))
            retries.add(retry)
        self.assertGreater(len(retries), 10)
        self.assertLess(max(retries), 2)
        self.daemon.process.wait(60)

    def test_a_client_that_is_gone_is_forgotten(self):
        before = self.metric("gatehouse_watchers")
        watchers = [self.watch() for _ in range(10)]
        self.assertEqual(self.metric("gatehouse_watchers"), before + 10)
        for watcher in watchers:
            watcher.hang_up()
        end = time.monotonic() + 60
        while self.metric("gatehouse_watchers") > before:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_too_many_pings_end_the_stream_and_no_other(self):
        other, watcher = self.watch(), self.watch()
        for number in range(1000):
            watcher.say(ping=auth.WatchPing(number=number))
        self.check_end(watcher, "RESOURCE_EXHAUSTED", "TOO_MANY_PINGS")
        other.ping()


class Slow(Case):
    SETTINGS = {"grpc_answer_timeout_ms": "600000"}  # on PostgreSQL it takes longer than a peer may keep its window closed

    def memory(self):
        with open(f"/proc/{self.daemon.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))  # KiB

    def test_who_never_reads_costs_nothing_and_is_reset(self):
        self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=["work_creator", "work_assigner"]))
        for i in range(100):
            self.create(f"owned {i}", owner="owner")
        slow = self.watch(reads=False)
        quick = self.watch()
        end = time.monotonic() + 60
        while self.metric("gatehouse_watchers") < 2:
            self.assertLess(time.monotonic(), end)
        roles = (["work_creator"], ["work_assigner"])
        for i in range(100):  # 10,000 changes: more than a connection's window
            answer = self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=roles[(i + 1) % 2]))
        quick.reach(answer.position)
        self.assertEqual(len(quick.events), 10000)
        before = self.memory()
        for i in range(650):
            answer = self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=roles[(i + 1) % 2]))
        quick.reach(answer.position)
        self.assertGreater(self.metric("gatehouse_watch_lag"), 65536)
        if "san.so" not in os.environ["CLOCKSHIFT"]:  # a sanitizer has memory of its own for each byte
            self.assertLess(self.memory() - before, 32 * 1024)  # the ring's own 6 MiB among it
        self.assertEqual(quick.resets, [UNKNOWN])
        slow.reader.start()
        first = slow.next()
        while BEHIND not in slow.resets:
            slow.next()
        self.assertEqual(first.WhichOneof("kind"), "reset")
        slow.ping()
        self.assertEqual(slow.position, quick.position)


class MinPosition(Case):
    def test_an_answer_is_given_with_the_change_in_force(self):
        made = self.create("asked")
        token = self.token_of(made).access_token
        answer = self.daemon.introspect(self.caller, token, min_position=made.position)
        self.assertTrue(answer.active)
        self.assertEqual(answer.position, made.position)
        self.assertTrue(0 < answer.valid_for.seconds <= 1200)

    def test_what_is_not_there_is_told(self):
        made = self.create("asked")
        token = self.token_of(made).access_token

        def ask(revision, change_id):
            return error_of(lambda: self.daemon.introspect(
                self.caller, token, min_position=auth.Position(revision=revision, change_id=change_id)))[:2]

        at = made.position
        self.assertEqual(ask(at.revision + 1, 7), ("UNAVAILABLE", "NOT_THERE_YET"))
        self.assertEqual(ask(at.revision, at.change_id ^ 1), ("FAILED_PRECONDITION", "CHANGE_LOST"))
        self.assertEqual(ask(at.revision, 0), ("FAILED_PRECONDITION", "CHANGE_LOST"))
        self.assertEqual(ask(-1, 7), ("FAILED_PRECONDITION", "POSITION_TOO_OLD"))

        def batch(*positions):
            return error_of(lambda: self.daemon.auth.BatchIntrospect(auth.BatchIntrospectRequest(requests=[
                auth.BatchIntrospectEntry(token=token, min_position=each) for each in positions]),
                metadata=Daemon.bearer(self.caller), timeout=DEADLINE))[:2]

        self.assertEqual(batch(at, auth.Position(revision=at.revision + 9, change_id=1)), ("UNAVAILABLE", "NOT_THERE_YET"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
