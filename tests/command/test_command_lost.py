# SPDX-License-Identifier: Apache-2.0
"""A server that fails in the midst of a list, or says nothing in time: what the command then prints."""
import json
import threading
import unittest
from concurrent import futures

import grpc

from daemon import credential_admin_pb2 as pb, credential_admin_pb2_grpc
from driver import DONE, REFUSED, UNREACHABLE, run

ROWS = 152


class Server(credential_admin_pb2_grpc.CredentialAdminServicer):
    """Has 152 of everything; after its first page it does what `then` says."""

    def __init__(self, then="answer"):
        self.then, self.ended = then, threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        credential_admin_pb2_grpc.add_CredentialAdminServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.stop(None).wait()

    def page(self, request, context):
        """(the first row, one behind the last, the next page's token)."""
        begin = int(request.page_token or 0)
        if begin and self.then == "fail":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more today")
        if begin and self.then == "hang":
            self.ended.wait()
        end = min(begin + request.page_size, ROWS)
        return begin, end, str(end) if end < ROWS else ""

    def ListCredentials(self, request, context):
        begin, end, token = self.page(request, context)
        return pb.ListCredentialsResponse(next_page_token=token, total_size=ROWS, credentials=[
            pb.Credential(name=f"number {i}") for i in range(begin, end)])

    def ListAuditEvents(self, request, context):
        begin, end, token = self.page(request, context)
        return pb.ListAuditEventsResponse(next_page_token=token, events=[pb.AuditEvent(sequence=i + 1) for i in range(begin, end)])

    def ask(self, *arguments):
        return run(*arguments, GATEHOUSE_ADDRESS=f"127.0.0.1:{self.port}", GATEHOUSE_TOKEN="x")


class Lost(unittest.TestCase):
    def test_json_that_lacks_rows_is_no_complete_document(self):
        for subject in ("credential", "audit"):
            with self.subTest(subject), Server("fail") as server:
                answer = server.ask(subject, "list", "--limit", "0", "-o", "json")
                self.assertEqual(answer.returncode, REFUSED)
                self.assertIn("no more today", answer.stderr)
                self.assertEqual(len(answer.stdout.splitlines()), 101)
                self.assertRaises(json.JSONDecodeError, json.loads, answer.stdout)

    def test_the_rows_that_came_are_in_a_table(self):
        with Server("fail") as server:
            answer = server.ask("credential", "list")
            self.assertEqual((answer.returncode, len(answer.stdout.splitlines())), (REFUSED, 101))

    def test_a_program_gets_all_of_the_audit_log_and_a_reader_its_newest(self):
        with Server() as server:
            for form, count in (("json", ROWS), ("value", ROWS), ("table", 100)):
                answer = server.ask("audit", "list", "-o", form)
                self.assertEqual(answer.returncode, DONE, answer.stderr)
                lines = json.loads(answer.stdout)["events"] if form == "json" else answer.stdout.splitlines()[form == "table":]
                self.assertEqual(len(lines), count, form)
            self.assertIn("--limit=0", answer.stderr)

    def test_past_its_own_deadline_it_does_not_ask_whether_the_server_runs(self):
        with Server("hang") as server:
            answer = server.ask("credential", "list", "--timeout", "1s", "-o", "json")
            self.assertEqual(answer.returncode, UNREACHABLE)
            self.assertIn(f"the server at 127.0.0.1:{server.port} did not answer within 1s", answer.stderr)
            self.assertIn("--timeout", answer.stderr)
            self.assertNotIn("running", answer.stderr)
            self.assertRaises(json.JSONDecodeError, json.loads, answer.stdout)


if __name__ == "__main__":
    unittest.main()
