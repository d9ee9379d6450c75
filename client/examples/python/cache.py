# SPDX-License-Identifier: Apache-2.0
"""A cache that hears of revocation, by the rules of client/README.md, whose numbers stand at the lines that keep them.

    GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… python3 cache.py

May the bearers of these tokens create cases? A token a line on standard input, perhaps a space and the address that it came
from; a line on standard output: yes, no, or "cannot say", and whether the answer is from memory. GATEHOUSE_GRPC is the server itself; an edge has such a cache already.

All of it runs in one event loop: between two awaits nothing else happens, which is the one lock that C6 asks for.
"""
import asyncio
import hashlib
import ipaddress
import os
import random
import sys
import time
from collections import deque
from dataclasses import dataclass

import grpc
from gatehouse.v1.auth_pb2 import (BatchIntrospectRequest, IntrospectResponse, WatchBegin, WatchEvent, WatchEventKind, WatchPing,
                                   WatchRequest)

from client import Gatehouse, bearing

ENTRIES, WINDOW, WAITING = 10_000, 4096, 1000
BATCH = 100  # entries that BatchIntrospect takes
MOST_USES = 1_000_000  # that one entry may tell
SILENCE = 5  # seconds without any message: the stream is half open


def now():
    """C2: seconds, those in which the machine slept among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Entry:
    """C1"""
    key: bytes
    answer: IntrospectResponse
    sent: float

    def __post_init__(self):
        idle = self.answer.idle_timeout.ToMicroseconds() / 1e6
        self.until = self.sent + self.answer.valid_for.ToMicroseconds() / 1e6
        self.interval = min(idle / 10, 10)  # C9: within which uses are reported
        self.deadline = min(self.interval, 2)  # of that report


def is_named(event, answer):
    if event.kind == WatchEventKind.WATCH_EVENT_KIND_TOKEN:
        return event.accessor == answer.accessor
    if event.kind == WatchEventKind.WATCH_EVENT_KIND_CREDENTIAL:
        return event.client_id == answer.client_id
    return True  # C6: all, or a kind that we do not know


def is_within(networks, peer):
    """Of what comes from outside the networks, or from no address, the server judges, and counts it."""
    try:
        address = ipaddress.ip_address(peer)
        address = getattr(address, "ipv4_mapped", None) or address
        return not networks or any(address in ipaddress.ip_network(network) for network in networks)
    except ValueError:
        return not peer


class Cache:
    def __init__(self, gatehouse):
        self.gatehouse, self.secret = gatehouse, os.urandom(32)
        self.entries = {}
        self.window = deque(maxlen=WINDOW)  # C4: what comes when it is full cuts its old end
        self.waiting = deque(maxlen=WAITING)
        self.trusted_until = 0.0
        self.uses = {}  # (token, api, role): (how many, when the last, the last peer that was told)
        self.tasks = set()
        self.start(self.watch())

    def start(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self.tasks.discard)

    # Asking

    async def introspect(self, token, api, role, peer):
        """(the answer, is it from memory?). Raises what Gatehouse.introspect does. C8: each miss is a call of its own."""
        key = hashlib.blake2b(token.encode(), key=self.secret, digest_size=16).digest()
        entry = self.entries.get(key)
        asked = now()  # C3: read after the entry was found
        is_good = entry and asked < self.trusted_until and asked < entry.until - entry.interval - entry.deadline
        if is_good and is_within(entry.answer.networks, peer):
            self.note_use((token, api, role), entry, asked, peer)
            return self.judged(entry.answer, role), True
        answer = await self.gatehouse.introspect(token, api, role, peer)
        if answer.active:  # C8: inactive is not kept
            self.keep(Entry(key, answer, asked))  # C1: of when it was sent, not answered
        return answer, False

    @staticmethod
    def judged(answer, role):
        """As this question wants it: the answer that is kept was to another."""
        judged = IntrospectResponse()
        judged.CopyFrom(answer)
        judged.allowed = role in answer.roles
        judged.missing_roles[:] = [] if judged.allowed else [role]
        return judged

    def keep(self, entry):
        """C5"""
        position = entry.answer.position
        if not self.window or position.revision < self.window[0].position.revision:
            return
        if position.revision > self.window[-1].position.revision:
            self.waiting.append(entry)
            return
        index = position.revision - self.window[0].position.revision  # revisions follow each other without a gap
        if self.window[index].position.change_id != position.change_id:  # W1: another history
            return
        if any(is_named(self.window[later], entry.answer) for later in range(index + 1, len(self.window))):
            return
        before = self.entries.pop(entry.key, entry)
        self.entries[entry.key] = max(before, entry, key=lambda one: one.sent)
        if len(self.entries) > ENTRIES:
            del self.entries[next(iter(self.entries))]  # the oldest

    # Obeying what the stream says

    def forget(self):
        self.entries.clear()
        self.waiting.clear()
        self.window.clear()

    def reset(self, position):
        """C6: the window begins here. C2: trust runs on."""
        self.forget()
        self.window.append(WatchEvent(position=position))

    def obey(self, event):
        """C6: first remove what it names, then move the position."""
        if not self.window or event.position.revision != self.window[-1].position.revision + 1:
            raise ValueError("a gap in the stream")
        self.entries = {key: entry for key, entry in self.entries.items() if not is_named(event, entry.answer)}
        waiting = [entry for entry in self.waiting if not is_named(event, entry.answer) and now() - entry.sent < self.lease]
        self.waiting.clear()
        self.window.append(event)
        for entry in waiting:
            self.keep(entry)

    def is_reached(self, position):
        return bool(self.window) and self.window[-1].position == position

    def hear(self, message, is_first):
        kind = message.WhichOneof("kind")
        if is_first:
            self.lease = min(message.lease.ToMicroseconds() / 1e6, 10)
        if kind == "resumed":  # C2: proves nothing
            if not is_first or not self.is_reached(message.position):
                raise ValueError("resumed elsewhere")
        elif kind == "reset":
            self.reset(message.position)
        elif kind == "events" and not is_first:
            for event in message.events.events:
                self.obey(event)
        elif kind == "pong" and self.is_reached(message.position) and message.pong.number in self.sent:
            # C2: only a pong moves it, and it only grows. W9: clocks run differently.
            self.trusted_until = max(self.trusted_until, self.sent.pop(message.pong.number) + self.lease * 63 / 64)
            return
        else:
            raise ValueError("this cannot be")
        self.has_obeyed.set()  # whoever waits for `everywhere` shall not wait for the next ping

    # The stream

    async def watch(self):
        own = ended = None
        while True:
            try:
                own = await self.gatehouse.own_token(ended)
                await self.listen(self.gatehouse.auth.Watch(metadata=bearing(own)))
            except ValueError as error:  # a stream that says what cannot be is believed in nothing
                self.forget()
                print(f"watch: {error}", file=sys.stderr)
            except (grpc.aio.AioRpcError, OSError, asyncio.TimeoutError) as error:
                if isinstance(error, grpc.aio.AioRpcError) and error.code() == grpc.StatusCode.UNAUTHENTICATED:
                    ended = own
                print(f"watch: {error!r}", file=sys.stderr)
            await asyncio.sleep(random.uniform(0, 1))  # C7

    async def listen(self, call):
        self.sent, self.lease, self.has_obeyed = {}, 1.0, asyncio.Event()
        begin = WatchBegin(since=self.window[-1].position) if self.window else WatchBegin()  # C7
        await call.write(WatchRequest(begin=begin))
        pings = asyncio.create_task(self.ping(call))
        try:
            is_first = True
            while (message := await asyncio.wait_for(call.read(), SILENCE)) is not grpc.aio.EOF:
                self.hear(message, is_first)
                is_first = False
        finally:
            pings.cancel()
            call.cancel()

    async def ping(self, call):
        """C7: at once, when something was obeyed, and else four times in a lease."""
        for number in range(1, 1 << 62):
            reached = self.window[-1].position if self.window else None  # C7: what has been obeyed, and never more
            self.sent[number] = now()  # C2: read before the ping is handed over
            await call.write(WatchRequest(ping=WatchPing(number=number, reached=reached)))
            await asyncio.sleep(0.02)  # the server takes 64 a second
            try:
                await asyncio.wait_for(self.has_obeyed.wait(), self.lease / 4)
            except asyncio.TimeoutError:
                pass
            self.has_obeyed.clear()

    # C9: uses

    def note_use(self, question, entry, at, peer):
        if not self.uses:  # the interval is the same for all: a change of the idle timeout ends all entries
            self.report_after(entry.interval, entry.deadline)
        count, _, before = self.uses.get(question, (0, 0, ""))
        self.uses[question] = (count + 1, at, peer or before)

    def report_after(self, pause, deadline):
        asyncio.get_running_loop().call_later(pause, lambda: self.start(self.report(deadline)))

    async def report(self, deadline):
        uses, self.uses = list(self.uses.items()), {}
        await asyncio.gather(*(self.report_some(uses[first:first + BATCH], deadline) for first in range(0, len(uses), BATCH)))

    async def report_some(self, uses, deadline):
        try:
            await self.gatehouse.call(self.gatehouse.auth.BatchIntrospect, self.report_of(uses), deadline)
        except (grpc.aio.AioRpcError, OSError):
            self.take_back(uses, deadline)

    @staticmethod
    def report_of(uses):
        request = BatchIntrospectRequest()
        for (token, api, role), (count, last, peer) in uses:
            entry = request.requests.add(token=token, api=api, required_roles=[role], use_count=min(count, MOST_USES), peer=peer)
            entry.used_ago.FromMicroseconds(int((now() - last) * 1e6))  # C9: anew at each try
        return request

    def take_back(self, uses, deadline):
        """To be tried again; there are not many more meanwhile, for without the server trust ends within a lease."""
        if not self.uses:
            self.report_after(deadline, deadline)
        for question, (count, last, peer) in uses:
            more, later, newer = self.uses.get(question, (0, 0, ""))
            self.uses[question] = (count + more, max(last, later), newer or peer)

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await self.report(2)


async def main():
    gatehouse = Gatehouse(os.environ.get("GATEHOUSE_GRPC", "127.0.0.1:50051"), os.environ["GATEHOUSE_CLIENT_ID"],
                          os.environ["GATEHOUSE_CLIENT_SECRET_FILE"])
    cache = Cache(gatehouse)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            token, _, peer = line.strip().partition(" ")
            answer, is_from_memory = await cache.introspect(token, "POST /cases", "work_creator", peer)
            print("yes" if answer.allowed else "no", "from memory" if is_from_memory else "asked", flush=True)
        except (grpc.aio.AioRpcError, OSError):
            print("cannot say", flush=True)
    await cache.close()


if __name__ == "__main__":
    asyncio.run(main())
