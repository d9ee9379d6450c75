# SPDX-License-Identifier: Apache-2.0
"""The cache of libgatehouse in front of a server that says on its streams what no daemon says: test_cache_lies.py DRIVER."""
import concurrent.futures
import queue
import time
import unittest

import grpc
from driver import Driver
from google.protobuf import duration_pb2
from gatehouse.v1 import auth_pb2 as auth, auth_pb2_grpc

from daemon import DEADLINE

MEMORY, SERVER = "active allowed Acme from memory", "active allowed Acme from the server"
SECOND = duration_pb2.Duration(seconds=1)


def at(revision, change_id=None):
    return auth.Position(revision=revision, change_id=change_id or revision * 100)


class Liar(auth_pb2_grpc.AuthServiceServicer):
    """Every token is active. Streams begin as `first` says, and pings are answered, until something else is to be said."""

    def __init__(self):
        self.first = auth.WatchResponse(position=at(10), lease=SECOND, reset=auth.WatchReset(cause=1))
        self.answers_pings, self.begun, self.now = True, 0, None
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
        auth_pb2_grpc.add_AuthServiceServicer_to_server(self, self.server)
        self.grpc_port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Introspect(self, request, context):
        return auth.IntrospectResponse(
            active=True, allowed=True, client_id="one", credential_name="Acme", accessor=request.token, position=at(10),
            idle_timeout=duration_pb2.Duration(seconds=100), valid_for=duration_pb2.Duration(seconds=100))

    def BatchIntrospect(self, request, context):
        return auth.BatchIntrospectResponse(responses=[self.Introspect(each, context) for each in request.requests])

    def Watch(self, requests, context):
        self.begun += 1
        self.now = said = queue.Queue()
        context.add_callback(lambda: said.put(None))
        said.put(self.first)

        def hear():
            try:
                for request in requests:
                    if request.HasField("ping") and self.answers_pings:
                        said.put(auth.WatchResponse(position=at(10), pong=auth.WatchPong(number=request.ping.number)))
            except grpc.RpcError:
                pass

        concurrent.futures.ThreadPoolExecutor(1).submit(hear)
        yield from iter(said.get, None)

    def event(self, position, **fields):
        return auth.WatchResponse(position=position, events=auth.WatchEvents(events=[auth.WatchEvent(position=position, **fields)]))


class Lies(unittest.TestCase):
    def setUp(self):
        self.liar = Liar()
        self.addCleanup(lambda: self.liar.server.stop(0).wait())
        self.driver = self.enterContext(Driver(self.liar, CACHE_ENTRIES="100"))

    def until(self, is_so, what):
        end = time.monotonic() + DEADLINE
        while not is_so():
            self.assertLess(time.monotonic(), end, what + " never")
            time.sleep(0.005)

    def await_hit(self, token="token"):
        self.until(lambda: self.driver.ask("cached", token) == MEMORY, "a hit")

    def test_a_server_that_tells_the_truth_is_believed(self):
        self.await_hit()
        self.liar.answers_pings = False  # and as long as it proves what it says
        self.until(lambda: self.driver.ask("cached", "token") == SERVER, "the end of trust")

    def test_what_cannot_be_ends_the_stream_and_all_that_is_known(self):
        wrong = {
            "a gap": self.liar.event(at(12), kind=1, accessor="x"),
            "one again": self.liar.event(at(10), kind=1, accessor="x"),
            "no position": auth.WatchResponse(events=auth.WatchEvents()),
            "an event that is not where the message is": auth.WatchResponse(
                position=at(12), events=auth.WatchEvents(events=[auth.WatchEvent(position=at(11), kind=1, accessor="x")])),
            "an answer to no ping": auth.WatchResponse(position=at(10), pong=auth.WatchPong(number=1 << 40)),
            "an answer to a ping of before": auth.WatchResponse(position=at(10), pong=auth.WatchPong(number=-1)),
            "an answer from elsewhere": auth.WatchResponse(position=at(10, 7), pong=auth.WatchPong(number=1)),
            "a second beginning": auth.WatchResponse(position=at(10), resumed=auth.WatchResumed()),
            "nothing": auth.WatchResponse(position=at(10)),
        }
        for what, message in wrong.items():
            with self.subTest(what):
                self.await_hit()
                begun, removed = self.liar.begun, self.driver.stats()["removed"]
                self.liar.now.put(message)
                self.until(lambda: self.liar.begun > begun, "another stream")
                self.assertGreater(self.driver.stats()["removed"], removed)

    def test_a_kind_of_event_that_it_does_not_know_ends_all(self):
        self.await_hit()
        begun = self.liar.begun
        self.liar.answers_pings = False
        self.liar.now.put(self.liar.event(at(11), kind=77))
        self.until(lambda: self.driver.stats()["entries"] == 0, "the end of the answer")
        self.assertEqual(self.liar.begun, begun)

    def test_absurd_leases_give_no_trust(self):
        self.await_hit()
        for lease in (None, duration_pb2.Duration(), duration_pb2.Duration(seconds=-1), duration_pb2.Duration(seconds=1, nanos=-1),
                      duration_pb2.Duration(seconds=1 << 50)):
            with self.subTest(str(lease)):
                self.liar.first = auth.WatchResponse(position=at(10), lease=lease, reset=auth.WatchReset(cause=1))
                self.liar.now.put(auth.WatchResponse())  # ends the stream
                begun = self.liar.begun
                self.until(lambda: self.liar.begun > begun + 1, "another stream")  # and that one, too
                self.until(lambda: not self.driver.stats()["trusted"], "the end of trust")
                self.assertEqual(self.driver.ask("cached", "token"), SERVER)

    def test_more_than_was_asked_for_is_not_taken(self):
        self.liar.first = auth.WatchResponse(position=at(10), lease=duration_pb2.Duration(seconds=60), reset=auth.WatchReset(cause=1))
        self.await_hit()
        self.assertEqual(self.driver.stats()["lease"], 1000)


if __name__ == "__main__":
    unittest.main()
