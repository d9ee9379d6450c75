# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2, byte by byte: what its specification (PROTOCOL-HTTP2.md) says of a server, with the exact status."""
import base64
import gzip
import itertools
import os
import time
import unittest

from frames import DATA, END_STREAM, GOAWAY, HEALTH_CHECK, HEALTH_WATCH, PADDED, REFLECTION, TIMEOUT, Closed, Peer, call, data, frame, headers, message, request
from google.rpc import error_details_pb2, status_pb2
from process_memory import search_memory
from target import serve, serve_tls

SERVING = [b"\x08\x01"]
OK, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAUTHENTICATED = (
    "0", "2", "3", "4", "5", "8", "12", "13", "16")
INTROSPECT = "/gatehouse.v1.AuthService/Introspect"
LIST_SERVICES = b"\x3a\x01*"


def reason_of(answer):
    """Of the ErrorInfo in grpc-status-details-bin; which says the same as the other trailers."""
    text = answer.trailers["grpc-status-details-bin"]
    assert "=" not in text, text
    status = status_pb2.Status.FromString(base64.b64decode(text + "=" * (-len(text) % 4)))
    assert str(status.code) == answer.trailers["grpc-status"], status
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found), status
    return found.reason


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(serve())

    def setUp(self):
        self.peer = self.enterContext(Peer(self.daemon.grpc_port))
        self.streams = itertools.count(1, 2)

    def ask(self, path=HEALTH_CHECK, body=message(), *more, **other):
        return self.peer.ask(next(self.streams), path, body, *more, **other)

    def fails(self, answer, *statuses, reason=None):
        self.assertIn(answer.trailers.get("grpc-status"), statuses, answer)
        self.assertEqual((answer.headers[":status"], answer.messages), ("200", []))
        if reason:
            self.assertEqual(reason_of(answer), reason)

    def serves(self, answer):
        self.assertEqual((answer.headers.get(":status"), answer.headers.get("content-type"), answer.messages,
                          answer.trailers.get("grpc-status"), answer.reset), ("200", "application/grpc", SERVING, OK, None))


class Headers(Case):
    def test_an_answer_is_headers_one_message_and_trailers(self):
        self.serves(self.ask())

    def test_an_error_is_one_block_of_headers(self):
        answer = self.ask("/no.Service/Method")
        self.fails(answer, UNIMPLEMENTED, reason="UNKNOWN_METHOD")
        self.assertIs(answer.headers, answer.trailers)
        self.assertEqual(answer.headers["content-type"], "application/grpc")

    def test_a_content_type_of_grpc_in_any_form_is_taken(self):
        for kind in ("application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"):
            with self.subTest(kind):
                self.serves(self.ask(content_type=kind))

    def test_another_content_type_is_an_unsupported_media_type(self):
        for kind in ("application/json", "text/plain", "application/grpcx", "application/grp", ""):
            with self.subTest(kind):
                answer = self.ask(content_type=kind)
                self.assertEqual((answer.headers.get(":status"), answer.messages), ("415", []), answer)
        stream = next(self.streams)
        self.peer.send(headers(stream, request(HEALTH_CHECK, without=["content-type"]), end=True))
        self.assertEqual(self.peer.answer(stream).headers.get(":status"), "415")

    def test_another_method_than_post_reaches_no_handler(self):
        for method in ("GET", "PUT", "OPTIONS", "post"):
            with self.subTest(method):
                answer = self.ask(method=method)
                self.assertEqual((answer.headers.get(":status"), answer.messages), ("405", []), answer)

    def test_the_te_header_may_be_missing(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(HEALTH_CHECK, without=["te"])), data(stream, message(), end=True))
        self.serves(self.peer.answer(stream))

    def test_an_unknown_path_is_unimplemented_whatever_it_looks_like(self):
        for path in ("/", "/x", "/grpc.health.v1.Health", "/grpc.health.v1.Health/", "/grpc.health.v1.Health/Check/",
                     "/grpc.health.v1.Health/check", "//grpc.health.v1.Health/Check", "/" + "x" * 2000, "/grpc.health.v1.Health/Check?x"):
            with self.subTest(path):
                self.fails(self.ask(path), UNIMPLEMENTED, reason="UNKNOWN_METHOD")

    def test_an_unknown_method_is_answered_before_its_message_has_come(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request("/no.Service/Method")))
        self.fails(self.peer.answer(stream), UNIMPLEMENTED)
        self.serves(self.ask())

    def test_metadata_in_binary_is_let_through_whatever_it_holds(self):
        for value in ("AAEC/w", "AAEC/w==", "AAEC,/w", "", "not base64!"):
            with self.subTest(value):
                self.serves(self.ask(HEALTH_CHECK, message(), ("some-bin", value)))

    def test_metadata_over_the_limit_is_refused_with_its_reason(self):
        self.serves(self.ask(HEALTH_CHECK, message(), ("x", "y" * 6000)))
        for more in ([("x", "y" * 9000)], [("x", "y" * 15000)], [(f"x-{i}", "y") for i in range(250)]):
            with self.subTest(count=len(more)):
                self.fails(self.ask(HEALTH_CHECK, message(), *more), EXHAUSTED, reason="METADATA_TOO_LARGE")
        self.serves(self.ask())

    def test_two_authorization_headers_are_unauthenticated(self):
        both = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
        self.fails(self.ask(INTROSPECT, message(), *both), UNAUTHENTICATED, reason="BAD_AUTHORIZATION")


class Messages(Case):
    def send(self, *frames_of):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(HEALTH_CHECK)), *[part(stream) for part in frames_of])
        return self.peer.answer(stream)

    def test_a_message_may_come_in_any_pieces(self):
        whole = message(b"\x0a\x05nobod")
        self.fails(self.send(*[lambda s, b=byte: data(s, bytes([b])) for byte in whole], lambda s: data(s, end=True)), NOT_FOUND)
        for cut in range(len(whole)):
            self.fails(self.send(lambda s: data(s, whole[:cut]), lambda s: data(s), lambda s: data(s, whole[cut:], end=True)), NOT_FOUND)

    def test_padding_may_be_anywhere(self):
        self.serves(self.send(lambda s: frame(DATA, PADDED, s, b"\x03\0\0\0\0\0"), lambda s: frame(DATA, PADDED, s, b"\0" + message()[2:4]),
                              lambda s: frame(DATA, PADDED | END_STREAM, s, b"\xff" + message()[4:] + b"\0" * 255)))

    def test_a_unary_call_without_a_message_is_an_invalid_argument(self):
        self.fails(self.send(lambda s: data(s, end=True)), INVALID_ARGUMENT)
        stream = next(self.streams)
        self.peer.send(headers(stream, request(HEALTH_CHECK), end=True))
        self.fails(self.peer.answer(stream), INVALID_ARGUMENT)

    def test_a_unary_call_with_two_messages_is_refused(self):
        self.fails(self.send(lambda s: data(s, message() + message(), end=True)), INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL)
        self.fails(self.send(lambda s: data(s, message()), lambda s: data(s, message(), end=True)), INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL)

    def test_a_message_that_is_cut_is_refused(self):
        for cut in (message()[:1], message()[:4], message(b"ab", length=3), message() + b"\0"):
            with self.subTest(cut):
                self.fails(self.send(lambda s: data(s, cut, end=True)), INVALID_ARGUMENT, INTERNAL)

    def test_a_message_that_is_announced_too_long_is_refused_at_once(self):
        for length in (2**32 - 1, 2**31, 2**31 - 1, 64 * 2**20):
            with self.subTest(length):  # the client goes on, and would for ever
                self.fails(self.send(lambda s: data(s, message(b"x" * 100, length=length))), EXHAUSTED, reason="MESSAGE_TOO_LARGE")
        self.serves(self.ask())

    def test_a_compressed_message_is_unimplemented_with_its_reason(self):
        body = message(gzip.compress(b""), flag=1)
        for encoding in ("gzip", "deflate", "snappy", "nonsense"):
            with self.subTest(encoding):
                answer = self.ask(HEALTH_CHECK, body, ("grpc-encoding", encoding))
                self.fails(answer, UNIMPLEMENTED, reason="COMPRESSED_MESSAGE")
                self.assertIn("identity", answer.headers["grpc-accept-encoding"])

    def test_a_client_that_could_compress_and_does_not_is_served(self):
        self.serves(self.ask(HEALTH_CHECK, message(), ("grpc-accept-encoding", "identity,deflate,gzip")))
        self.serves(self.ask(HEALTH_CHECK, message(), ("grpc-encoding", "identity"), ("grpc-accept-encoding", "gzip")))

    def test_a_compressed_flag_without_an_encoding_is_an_internal_error(self):
        self.fails(self.ask(HEALTH_CHECK, message(b"", flag=1)), INTERNAL)
        self.fails(self.ask(HEALTH_CHECK, message(b"", flag=1), ("grpc-encoding", "identity")), INTERNAL)
        self.fails(self.ask(HEALTH_CHECK, message(b"", flag=2)), INTERNAL, UNIMPLEMENTED)

    def test_an_answer_before_the_end_of_the_request_ends_the_stream_without_an_error(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request("/no.Service/Method")), data(stream, message(b"x" * 100, length=200)))
        self.fails(self.peer.answer(stream), UNIMPLEMENTED)
        self.peer.sync()
        self.assertIn(dict(self.peer.streams[stream]).get("reset", "NO_ERROR"), ("NO_ERROR",))


class Timeouts(Case):
    def test_every_unit_and_eight_digits_are_understood(self):
        for timeout in ("1H", "10M", "100S", "100000m", "60000000u", "99999999n", "99999999H", "00000100S"):
            with self.subTest(timeout):
                self.serves(self.ask(HEALTH_CHECK, message(), ("grpc-timeout", timeout)))

    def test_what_is_no_timeout_is_refused_or_ignored_but_never_a_deadline(self):
        for timeout in ("", "1", "S", "1x", "123456789S", "-1S", "1 S", "1.5S", "0x1S", "1SS"):
            with self.subTest(timeout):
                answer = self.ask(HEALTH_CHECK, message(), ("grpc-timeout", timeout))
                self.assertIn(answer.trailers.get("grpc-status"), (OK, INVALID_ARGUMENT, INTERNAL), answer)

    def test_a_call_that_waits_ends_at_its_deadline(self):
        for timeout in ("100m", "100000u", "1n"):
            with self.subTest(timeout):
                answer = self.ask(HEALTH_WATCH, message(), ("grpc-timeout", timeout))
                self.assertEqual(answer.trailers.get("grpc-status"), DEADLINE_EXCEEDED, answer)

    def test_a_call_whose_message_never_comes_ends_at_its_deadline(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(HEALTH_CHECK, ("grpc-timeout", "100m"))))
        answer = self.peer.answer(stream)
        self.assertTrue(answer.trailers.get("grpc-status") == DEADLINE_EXCEEDED or answer.reset == "CANCEL", answer)
        self.serves(self.ask())


class Streams(Case):
    def test_a_stream_of_requests_is_answered_one_by_one_however_it_is_cut(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(REFLECTION)))
        wire = message(LIST_SERVICES) * 3
        for count in range(1, 4):
            for byte in message(LIST_SERVICES):
                self.peer.send(data(stream, bytes([byte])))
            self.peer.until(lambda: len([1 for kind, _ in self.peer.streams[stream] if kind == "data"]) >= count)
        self.peer.send(data(stream, wire), data(stream, end=True))
        answer = self.peer.answer(stream)
        self.assertEqual((len(answer.messages), len(set(answer.messages)), answer.trailers["grpc-status"]), (6, 1, OK))

    def test_a_stream_of_requests_that_ends_at_once_is_well(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(REFLECTION), end=True))
        answer = self.peer.answer(stream)
        self.assertEqual((answer.messages, answer.trailers.get("grpc-status")), ([], OK))

    def test_a_stream_of_requests_that_is_cut_in_a_message_fails(self):
        stream = next(self.streams)
        self.peer.send(headers(stream, request(REFLECTION)), data(stream, message(LIST_SERVICES) + b"\0\0", end=True))
        answer = self.peer.answer(stream)
        self.assertIn(answer.trailers.get("grpc-status"), (INVALID_ARGUMENT, INTERNAL), answer)

    def test_requests_that_come_faster_than_answers_are_taken_wait_in_the_window(self):
        """The answers' window is closed: what is sent beyond the request's window would be a flow control error."""
        peer = self.enterContext(Peer(self.daemon.grpc_port, {4: 0}))
        peer.send(headers(1, request(REFLECTION)))
        one = message(LIST_SERVICES) * 1000
        sent = 0
        for _ in range(8):  # 64,000 bytes: no more than a window of the smallest size
            peer.send(data(1, one))
            sent += 1000
        peer.sync()
        peer.send(data(1, end=True), frame(4, 0, 0, b"\0\x04\x7f\xff\xff\xff"), frame(8, 0, 0, b"\x7f\xff\x00\x00"))
        self.assertEqual(len(peer.answer(1).messages), sent)


class Wiping(unittest.TestCase):
    @unittest.skipIf("san.so" in os.environ["CLOCKSHIFT"], "a sanitizer keeps what was freed")
    @unittest.skipIf(os.geteuid() != 0, "only root reads another process's memory")
    def test_nothing_is_left_of_what_came_by_tls(self):
        """Also of what no handler takes, and so far into a buffer that nothing is written over it soon."""
        daemon, tls = serve_tls()
        self.enterContext(daemon)
        peer = self.enterContext(Peer(daemon.grpc_port, tls=tls))
        secret = b"what was said by TLS in confidence"
        for stream in (1, 3):
            self.assertEqual(peer.ask(stream, "/x", message(secret * 200)).trailers["grpc-status"], UNIMPLEMENTED)
        end, found = time.monotonic() + TIMEOUT, True
        while found and time.monotonic() < end:  # what is on its way is wiped when it has arrived
            found = search_memory(daemon.process.pid, {"secret": secret})
        self.assertEqual(found, {})


class Drain(unittest.TestCase):
    def test_calls_on_their_way_are_answered_and_streams_are_told_to_come_again(self):
        daemon = self.enterContext(serve())
        peer = self.enterContext(Peer(daemon.grpc_port))
        peer.send(call(1, HEALTH_WATCH, message()))
        peer.until(lambda: peer.streams[1])
        peer.send(headers(3, request(HEALTH_CHECK)), data(3, message()[:2]))
        peer.sync()
        daemon.process.terminate()
        peer.until(lambda: peer.goaway)
        notice = next(found for found in peer.seen if found.type == GOAWAY)
        self.assertEqual(notice.payload[:8], b"\x7f\xff\xff\xff\0\0\0\0")  # nothing is refused yet
        peer.send(data(3, message()[2:], end=True))
        answer = peer.answer(3)
        self.assertEqual((answer.trailers.get("grpc-status"), len(answer.messages)), (OK, 1))
        self.assertEqual(peer.answer(1).trailers.get("grpc-status"), "14")
        self.assertEqual(peer.close_code(), "NO_ERROR")
        self.assertEqual(daemon.process.wait(60), 0)

    def test_a_call_that_crosses_the_notice_is_served_or_may_be_tried_again(self):
        daemon = self.enterContext(serve())
        peer = self.enterContext(Peer(daemon.grpc_port))
        daemon.process.terminate()
        last, outcome = 1, []
        try:
            while not peer.goaway or last < 200:
                outcome.append(peer.ask(last))
                last += 2
        except Closed as closed:
            self.assertEqual(closed.code, "NO_ERROR")
        # None of those that were answered was told anything but the truth: served, or refused unprocessed.
        for answer in outcome:
            self.assertTrue(answer.trailers.get("grpc-status") in (OK, "14") or answer.reset == "REFUSED_STREAM", answer)
        self.assertGreater(len(outcome), 0)
        self.assertEqual(daemon.process.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
