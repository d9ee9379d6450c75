# SPDX-License-Identifier: Apache-2.0
"""A client of AuthService.Watch, as a test wants one: it says what it is told to, and keeps what it hears."""
import queue
import threading

import grpc
from google.protobuf import duration_pb2
from gatehouse.v1 import auth_pb2 as auth, auth_pb2_grpc

from daemon import DEADLINE, Daemon

TOKEN, CREDENTIAL, ALL = 1, 2, 3  # WatchEventKind
UNKNOWN, BEHIND, HISTORY = 1, 2, 3  # WatchResetCause


class Ended(Exception):
    """The stream has ended; .code and .reason say how."""

    def __init__(self, call):
        self.code, self.trailers = call.code(), call.trailing_metadata()
        super().__init__(f"{self.code}: {call.details()}")


class Watcher:
    """begin: False says nothing at first. The first answer is in .first."""

    def __init__(self, daemon, token, since=None, lease=None, begin=True, reads=True):
        # Of its own, so that it can be cut; and who does not read has no more room than HTTP/2 gives at first.
        self.channel = daemon.open_channel(() if reads else (("grpc.http2.bdp_probe", 0),))
        self.requests, self.heard, self.number = queue.Queue(), queue.Queue(), 0
        self.is_replica = daemon.settings["store"].startswith("postgresql:")
        self.position, self.events, self.resets = None, [], []
        self.call = auth_pb2_grpc.AuthServiceStub(self.channel).Watch(
            iter(self.requests.get, None), metadata=Daemon.bearer(token) if token else ())
        self.reader = threading.Thread(target=self.read, daemon=True)
        if begin:
            self.say(begin=auth.WatchBegin(since=since, lease=lease))
        if reads:
            self.reader.start()
        if begin and reads:
            self.first = self.next()

    def say(self, **kind):
        self.requests.put(auth.WatchRequest(**kind))

    def read(self):
        try:
            for message in self.call:
                self.heard.put(message)
        except grpc.RpcError:
            pass
        self.heard.put(None)

    def next(self, timeout=DEADLINE):
        message = self.heard.get(timeout=timeout)
        if message is None:
            self.heard.put(None)
            raise Ended(self.call)
        kind = message.WhichOneof("kind")
        if kind == "events":
            for event in message.events.events:
                follows = self.position.revision + 1
                assert event.position.revision == follows, f"{event.position.revision} after {follows - 1}"
                self.position = event.position
                self.events.append(event)
            assert message.position == self.position, (message.position, self.position)
        elif kind == "reset":
            self.resets.append(message.reset.cause)
            self.events.clear()
        elif kind == "pong":
            assert message.position == self.position, (message.position, self.position)
        self.position = message.position
        return message

    def ping(self):
        """Sends one, and reads on until it is answered."""
        self.number += 1
        self.say(ping=auth.WatchPing(number=self.number, reached=self.position))
        while True:
            message = self.next()
            if message.WhichOneof("kind") == "pong":
                assert message.pong.number == self.number, (message.pong.number, self.number)
                return message

    def reach(self, position):
        """Reads on until it has come so far. On one server every acknowledged change comes before the next pong; of several,
        each hears of its own by the log, as of the others'."""
        if not self.is_replica:
            self.ping()
            assert self.position.revision >= position.revision, (self.position, position)
        while self.position.revision < position.revision:
            self.next()

    def end(self):
        """Reads on until the stream ends; gives how."""
        while True:
            try:
                self.next()
            except Ended as ended:
                return ended

    def hang_up(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.requests.put(None)
        self.channel.close()


def seconds(number):
    whole = int(number // 1)
    return duration_pb2.Duration(seconds=whole, nanos=int((number - whole) * 1e9))
