# SPDX-License-Identifier: Apache-2.0
"""What RFC 9113 and RFC 7541 demand of a server, with h2spec's list as the model: each wrong frame and what it must be answered.
A stream's error may end the whole connection (RFC 9113, 5.4.2), but not the other way round, and never with another code."""
import re
import unittest

import frames
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, HEALTH_CHECK, HEALTH_WATCH, INITIAL_WINDOW_SIZE,
                    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM,
                    SETTINGS, WINDOW_UPDATE, Peer, block, call, data, frame, headers, integer, literal, message, ping, request, reset,
                    settings, window_update)
from target import serve

SERVING = [b"\x08\x01"]
MOST = 2**31 - 1


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(serve())
        cls.witness = cls.enterClassContext(Peer(cls.daemon.grpc_port))
        cls.asked = 1

    def tearDown(self):
        """Whatever was sent, others are served."""
        self.assertEqual(self.witness.ask(type(self).asked).messages, SERVING)
        type(self).asked += 2

    def peer(self, first=(), **more):
        return self.enterContext(Peer(self.daemon.grpc_port, first, **more))

    def serves(self, peer, stream=1):
        answer = peer.ask(stream)
        self.assertEqual((answer.trailers.get("grpc-status"), answer.messages), ("0", SERVING), answer)

    def ends(self, code, *sent, peer=None):
        """A connection error with that code."""
        peer = peer or self.peer()
        peer.send(*sent)
        self.assertEqual(peer.close_code(), code, peer.seen)

    def fails(self, code, stream, *sent, peer=None):
        """An error with that code, of the stream or of the connection. Without the former, the connection goes on."""
        peer = peer or self.peer()
        peer.send(*sent)
        try:
            answer = peer.answer(stream)
        except frames.Closed:
            self.assertEqual(peer.goaway and peer.goaway[0], code, peer.seen)
            return
        self.assertEqual((answer.reset, answer.trailers.get("grpc-status")), (code, None), peer.seen)
        self.serves(peer, stream + 20)

    def watch(self, peer, stream=1):
        """A call that the client has said all of and that stays open."""
        peer.send(call(stream, HEALTH_WATCH, message()))
        peer.until(lambda: ("data", message(SERVING[0])) in peer.streams[stream])


class Beginning(Case):
    def test_the_first_frame_of_the_server_is_settings(self):
        peer = self.peer()
        self.assertEqual((peer.seen[0].type, peer.seen[0].flags, peer.seen[0].stream), (SETTINGS, 0, 0))
        self.assertGreaterEqual(peer.settings[MAX_CONCURRENT_STREAMS], 1)

    def test_settings_that_say_nothing_are_enough_to_begin(self):
        self.serves(self.peer())

    def test_all_of_the_beginning_may_come_in_single_bytes(self):
        peer = self.peer(hello=b"", handshake=False)
        for byte in PREFACE + settings({INITIAL_WINDOW_SIZE: 1000}) + call(1, HEALTH_CHECK, message()):
            peer.send(bytes([byte]))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_what_is_no_preface_ends_the_connection(self):
        for hello in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 24):
            peer = self.peer(hello=hello, handshake=False)
            self.assertIn(peer.close_code(), ("PROTOCOL_ERROR", None))

    def test_the_first_frame_of_a_client_must_be_settings(self):
        for first in (ping(), call(1, HEALTH_CHECK, message()), settings(flags=frames.ACK)):
            self.ends("PROTOCOL_ERROR", peer=self.peer(hello=PREFACE + first, handshake=False))


class Settings(Case):
    def test_each_settings_frame_is_acknowledged(self):
        peer = self.peer()
        peer.send(*[settings({INITIAL_WINDOW_SIZE: size}) for size in range(65535, 65545)])
        peer.until(lambda: peer.acks == 11)

    def test_unknown_settings_are_ignored(self):
        peer = self.peer({0xff: 1, 0xfffe: 0xffffffff})
        self.serves(peer)

    def test_settings_on_a_stream_are_a_protocol_error(self):
        self.ends("PROTOCOL_ERROR", frame(SETTINGS, 0, 1))

    def test_settings_of_a_wrong_size_are_a_frame_size_error(self):
        self.ends("FRAME_SIZE_ERROR", frame(SETTINGS, 0, 0, b"\0" * 5))

    def test_an_acknowledgement_with_content_is_a_frame_size_error(self):
        self.ends("FRAME_SIZE_ERROR", settings({INITIAL_WINDOW_SIZE: 1}, frames.ACK))

    def test_enable_push_is_0_or_1(self):
        self.ends("PROTOCOL_ERROR", settings({frames.ENABLE_PUSH: 2}))

    def test_an_initial_window_over_the_limit_is_a_flow_control_error(self):
        self.ends("FLOW_CONTROL_ERROR", settings({INITIAL_WINDOW_SIZE: MOST + 1}))

    def test_a_maximal_frame_size_out_of_its_limits_is_a_protocol_error(self):
        for size in (16383, 2**24):
            self.ends("PROTOCOL_ERROR", settings({MAX_FRAME_SIZE: size}))


class Frames(Case):
    def test_unknown_frames_and_flags_are_ignored(self):
        peer = self.peer()
        peer.send(frame(0x16, 0xff, 0, b"x" * 100), frame(0x17, 0, 1, b"y"), frame(PING, 0xf0, 0, b"12345678"))
        peer.until(lambda: peer.pongs)
        self.serves(peer)

    def test_the_reserved_bit_is_ignored(self):
        peer = self.peer()
        peer.send(frame(HEADERS, END_HEADERS, 1 | 1 << 31, block(request(HEALTH_CHECK))), data(1, message(), end=True))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_a_frame_over_the_maximal_size_is_a_frame_size_error(self):
        too_long = b"\0" * (16384 + 1)
        self.ends("FRAME_SIZE_ERROR", frame(HEADERS, END_HEADERS, 1, too_long))
        self.ends("FRAME_SIZE_ERROR", frame(SETTINGS, 0, 0, too_long))
        self.fails("FRAME_SIZE_ERROR", 1, headers(1, request(HEALTH_CHECK)), data(1, too_long))

    def test_frames_of_a_fixed_size_must_have_it(self):
        for kind, stream, size in ((PING, 0, 7), (PING, 0, 9), (RST_STREAM, 1, 3), (RST_STREAM, 1, 5), (WINDOW_UPDATE, 0, 3),
                                   (WINDOW_UPDATE, 1, 5)):
            with self.subTest(kind=kind, size=size):
                self.ends("FRAME_SIZE_ERROR", headers(1, request(HEALTH_CHECK)), frame(kind, 0, stream, b"\0" * size))

    def test_frames_of_a_stream_need_a_stream(self):
        for kind, payload in ((DATA, b"x"), (HEADERS, block(request(HEALTH_CHECK))), (RST_STREAM, b"\0" * 4),
                              (CONTINUATION, b"x")):
            with self.subTest(kind=kind):
                self.ends("PROTOCOL_ERROR", frame(kind, END_HEADERS, 0, payload))

    def test_frames_of_the_connection_must_not_have_one(self):
        for kind in (PING, GOAWAY):
            self.ends("PROTOCOL_ERROR", frame(kind, 0, 1, b"\0" * 8))

    def test_a_client_must_not_push(self):
        promise = b"\0\0\0\2" + block(request(HEALTH_CHECK))
        self.ends("PROTOCOL_ERROR", headers(1, request(HEALTH_CHECK)), frame(PUSH_PROMISE, END_HEADERS, 1, promise))

    def test_padding_as_long_as_its_frame_is_a_protocol_error(self):
        self.ends("PROTOCOL_ERROR", headers(1, request(HEALTH_CHECK)), frame(DATA, PADDED, 1, b"\5xxxxx"[:5]))
        self.ends("PROTOCOL_ERROR", frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + block(request(HEALTH_CHECK))[:200]))

    def test_padding_is_not_part_of_the_message(self):
        peer = self.peer()
        peer.send(frame(HEADERS, END_HEADERS | PADDED, 1, b"\7" + block(request(HEALTH_CHECK)) + b"\0" * 7),
                  frame(DATA, PADDED | END_STREAM, 1, b"\x10" + message() + b"\0" * 16))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_a_ping_is_answered_with_its_content_and_an_answer_is_not(self):
        peer = self.peer()
        peer.send(ping(b"no reply", frames.ACK), ping(b"abcdefgh"))
        peer.until(lambda: peer.pongs)
        self.assertEqual([found.payload for found in peer.seen if found.type == PING], [b"abcdefgh"])

    def test_a_priority_frame_harms_nobody(self):
        peer = self.peer()
        peer.send(*[frame(PRIORITY, 0, stream, b"\0\0\0\0\x0f") for stream in (1, 3, 101)])
        self.serves(peer)

    def test_calls_on_their_way_are_answered_after_the_client_has_said_goaway(self):
        peer = self.peer()
        peer.send(headers(1, request(HEALTH_CHECK)), frame(GOAWAY, 0, 0, b"\0" * 8))
        peer.send(data(1, message(), end=True))
        self.assertEqual(peer.answer(1).messages, SERVING)


class Streams(Case):
    def test_frames_on_an_idle_stream_are_a_protocol_error(self):
        for sent in (data(1, b"x"), reset(1), window_update(1, 100), frame(CONTINUATION, END_HEADERS, 1, b"")):
            with self.subTest(kind=sent[3]):
                self.ends("PROTOCOL_ERROR", sent)

    def test_the_log_says_which_rule_was_broken(self):
        self.ends("PROTOCOL_ERROR", reset(1))
        said = re.findall('event=grpc_limit limit=protocol peer=127.0.0.1 why="([^"]*)"', self.daemon.log_text())
        self.assertTrue(said)  # of a burst, the first
        for why in said:
            self.assertRegex(why, r"^[\w ]+: [\w ]+")

    def test_a_client_has_no_even_streams(self):
        self.ends("PROTOCOL_ERROR", call(2, HEALTH_CHECK, message()))

    def test_a_number_lower_than_one_before_starts_no_call(self):
        peer = self.peer()
        self.serves(peer, 5)
        peer.send(call(3, HEALTH_CHECK, message()))
        try:
            peer.sync()
        except frames.Closed as closed:
            self.assertIn(closed.code, ("PROTOCOL_ERROR", "STREAM_CLOSED"))
        self.assertFalse([kind for kind, _ in peer.streams[3] if kind != "reset"])

    def test_data_and_headers_after_the_end_are_stream_closed(self):
        for late in (data(1, b"x"), headers(1, request(HEALTH_WATCH), end=True), headers(1, [("x", "y")], end=True)):
            with self.subTest(kind=late[3]):
                peer = self.peer()
                self.watch(peer)
                self.fails("STREAM_CLOSED", 1, late, peer=peer)

    def test_control_frames_after_the_end_are_allowed(self):
        peer = self.peer()
        self.watch(peer)
        peer.send(window_update(1, 10), frame(PRIORITY, 0, 1, b"\0\0\0\0\x0f"), reset(1))
        self.serves(peer, 3)

    def test_frames_of_a_call_that_is_over_start_nothing(self):
        for late in (data(1, b"x"), headers(1, request(HEALTH_CHECK), end=True), window_update(1, 1), reset(1)):
            with self.subTest(kind=late[3]):
                peer = self.peer()
                self.serves(peer)
                count = len(peer.streams[1])
                peer.send(late)
                try:
                    peer.sync()
                except frames.Closed as closed:
                    self.assertEqual(closed.code, "STREAM_CLOSED")
                    continue
                self.assertLessEqual({value for _, value in peer.streams[1][count:]}, {"STREAM_CLOSED"})
                self.serves(peer, 3)

    def test_no_more_calls_than_allowed_are_open_at_a_time(self):
        peer = self.peer()
        limit = peer.settings[MAX_CONCURRENT_STREAMS]
        for stream in range(1, 2 * limit, 2):
            self.watch(peer, stream)
        one_more = 2 * limit + 1
        peer.send(call(one_more, HEALTH_CHECK, message()))
        try:
            self.assertEqual(peer.answer(one_more).reset, "REFUSED_STREAM")
        except frames.Closed as closed:
            self.assertEqual(closed.code, "PROTOCOL_ERROR")
        self.assertEqual([kind for kind, _ in peer.streams[one_more] if kind == "headers"], [])

    def test_when_a_call_has_ended_another_may_begin(self):
        peer = self.peer()
        limit = peer.settings[MAX_CONCURRENT_STREAMS]
        for stream in range(1, 2 * limit, 2):
            self.watch(peer, stream)
        peer.send(reset(1))
        self.serves(peer, 2 * limit + 1)


class Windows(Case):
    def test_an_increment_of_0_is_a_protocol_error(self):
        self.ends("PROTOCOL_ERROR", window_update(0, 0))
        peer = self.peer()
        self.watch(peer)
        self.fails("PROTOCOL_ERROR", 1, window_update(1, 0), peer=peer)

    def test_a_window_that_overflows_is_a_flow_control_error(self):
        self.ends("FLOW_CONTROL_ERROR", window_update(0, MOST))
        peer = self.peer()
        self.watch(peer)
        self.fails("FLOW_CONTROL_ERROR", 1, window_update(1, MOST), peer=peer)

    def test_settings_that_make_a_window_overflow_are_a_flow_control_error(self):
        peer = self.peer({INITIAL_WINDOW_SIZE: 100})
        self.watch(peer)
        peer.send(window_update(1, MOST - 100))
        self.fails("FLOW_CONTROL_ERROR", 1, settings({INITIAL_WINDOW_SIZE: 1000}), peer=peer)

    def test_no_more_is_sent_than_the_window_holds(self):
        peer = self.peer({INITIAL_WINDOW_SIZE: 1})
        peer.send(call(1, HEALTH_CHECK, message()))
        sizes = []
        for _ in message(SERVING[0]):
            peer.until(lambda: len([kind for kind, _ in peer.streams[1] if kind == "data"]) > len(sizes))
            peer.sync()
            sizes = [len(value) for kind, value in peer.streams[1] if kind == "data"]
            peer.send(window_update(1, 1))
        self.assertEqual(peer.answer(1).messages, SERVING)
        self.assertEqual([size for size in sizes if size], [1] * 7)

    def test_a_window_that_settings_open_lets_waiting_answers_go(self):
        peer = self.peer({INITIAL_WINDOW_SIZE: 0})
        peer.send(call(1, HEALTH_CHECK, message()))
        peer.sync()
        self.assertNotIn("data", dict(peer.streams[1]))
        peer.send(settings({INITIAL_WINDOW_SIZE: 100}))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_the_end_of_an_answer_needs_no_window(self):
        peer = self.peer({INITIAL_WINDOW_SIZE: len(message(SERVING[0]))})
        self.serves(peer)
        peer = self.peer({INITIAL_WINDOW_SIZE: 4})
        peer.send(call(1, HEALTH_CHECK, message()))
        peer.until(lambda: "data" in dict(peer.streams[1]))
        peer.send(window_update(1, len(message(SERVING[0])) - 4))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_a_window_may_become_negative(self):
        peer = self.peer({INITIAL_WINDOW_SIZE: 4})
        peer.send(call(1, HEALTH_CHECK, message()))
        peer.until(lambda: "data" in dict(peer.streams[1]))
        peer.send(settings({INITIAL_WINDOW_SIZE: 2}), window_update(1, 2))  # -2, then 0
        peer.sync()
        self.assertEqual([len(value) for kind, value in peer.streams[1] if kind == "data"], [4])
        peer.send(window_update(1, 1))
        peer.until(lambda: peer.streams[1][-1] == ("data", message(SERVING[0])[4:5]))
        peer.send(window_update(1, 100))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_a_client_that_sends_past_a_streams_window_gets_a_flow_control_error(self):
        peer = self.peer()
        window = peer.settings.get(INITIAL_WINDOW_SIZE, frames.WINDOW)
        peer.send(headers(1, request(HEALTH_CHECK)))
        # A byte first: nothing that was taken is to be given back.
        sent = [data(1, b"\0" + (60000).to_bytes(4, "big"))]
        left = window + 1 - 5
        while left > 0:
            sent.append(data(1, b"x" * min(left, 16384)))
            left -= 16384
        peer.send(*sent)
        try:
            answer = peer.answer(1)
            # A message that was taken, or refused, may have opened the window again.
            self.assertTrue(answer.reset == "FLOW_CONTROL_ERROR" or answer.trailers["grpc-status"] != "0", answer)
        except frames.Closed as closed:
            self.assertEqual(closed.code, "FLOW_CONTROL_ERROR")

    def test_the_windows_of_a_connection_are_given_back(self):
        peer = self.peer()
        for stream in range(1, 81, 2):  # 40 × 8 KB: several windows
            answer = peer.ask(stream, HEALTH_CHECK, message(b"\x0a" + b"\xc0\x3e" + b"x" * 8000))
            self.assertEqual(answer.trailers["grpc-status"], "5")  # NOT_FOUND: no such service


class HeaderBlocks(Case):
    fields = block(request(HEALTH_CHECK))

    def test_a_block_may_come_in_many_pieces(self):
        peer = self.peer()
        third = len(self.fields) // 3
        peer.send(frame(HEADERS, 0, 1, self.fields[:third]), frame(CONTINUATION, 0, 1, self.fields[third:2 * third]),
                  frame(CONTINUATION, 0, 1), frame(CONTINUATION, END_HEADERS, 1, self.fields[2 * third:]), data(1, message(), end=True))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_nothing_may_come_between_the_pieces(self):
        for between in (data(1, b"x"), ping(), settings(), headers(3, request(HEALTH_CHECK)), frame(0x16, 0, 1, b"?"),
                        frame(CONTINUATION, END_HEADERS, 3, self.fields), window_update(0, 1), reset(1)):
            with self.subTest(kind=between[3]):
                self.ends("PROTOCOL_ERROR", frame(HEADERS, 0, 1, self.fields), between)

    def test_a_continuation_needs_a_block_that_it_continues(self):
        self.ends("PROTOCOL_ERROR", headers(1, request(HEALTH_CHECK)), frame(CONTINUATION, END_HEADERS, 1, literal("a", "b")))

    def test_what_cannot_be_decoded_is_a_compression_error(self):
        for name, bad in {
                "an index past the table": integer(70, 7, 0x80), "the index 0": b"\x80", "the name of no index": integer(99, 4) + b"\1x",
                "a table larger than allowed": integer(4097, 5, 0x20), "a number without end": b"\xff" * 12,
                "a table's size at the end": self.fields + integer(100, 5, 0x20), "a string that is cut": b"\x00\x05ab",
                "Huffman padding of zeros": b"\x00\x81\x00\x01x", "Huffman padding of a whole byte": b"\x00\x82\x1c\xff\xff\x01x",
                "the end of string symbol": b"\x00\x84\xff\xff\xff\xff\x01x"}.items():
            with self.subTest(name):
                self.ends("COMPRESSION_ERROR", frame(HEADERS, END_HEADERS | END_STREAM, 1, bad))

    def test_the_dynamic_table_is_kept_and_forgets(self):
        peer = self.peer()
        indexed = b"".join(literal(name, value, 0x40) for name, value in request(HEALTH_CHECK))
        again = b"".join(integer(index, 7, 0x80) for index in range(67, 61, -1))
        peer.send(headers(1, indexed), data(1, message(), end=True), headers(3, again), data(3, message(), end=True))
        for stream in (1, 3):
            self.assertEqual(peer.answer(stream).messages, SERVING)
        peer.send(headers(5, integer(0, 5, 0x20) + integer(4096, 5, 0x20) + indexed), data(5, message(), end=True))
        self.assertEqual(peer.answer(5).messages, SERVING)
        self.ends("COMPRESSION_ERROR", headers(7, integer(0, 5, 0x20) + again), peer=peer)

    def test_a_table_that_the_client_makes_smaller_is_kept_to(self):
        peer = self.peer({frames.HEADER_TABLE_SIZE: 0})
        for stream in range(1, 9, 2):
            self.serves(peer, stream)
        self.assertEqual(peer.decoder.header_table_size, 0)


class Headers(Case):
    """What RFC 9113, 8.1.1 calls malformed: no handler sees it, and the connection goes on."""

    def is_malformed(self, fields, end=False):
        with self.subTest(fields=fields):
            self.fails("PROTOCOL_ERROR", 1, headers(1, fields, end=end))

    def test_names_are_lower_case_and_tokens(self):
        for name in ("X-Upper", "a b", "a\0", "a\n", "", "a:b", "\x7f", "é"):
            self.is_malformed(request(HEALTH_CHECK, (name, "x")))

    def test_values_hold_no_control_characters(self):
        for value in ("a\0b", "a\nb", "a\rb"):
            self.is_malformed(request(HEALTH_CHECK, ("x", value)))

    def test_headers_of_a_connection_are_malformed(self):
        for field in (("connection", "keep-alive"), ("keep-alive", "1"), ("proxy-connection", "x"), ("upgrade", "h2c"),
                      ("transfer-encoding", "chunked")):
            self.is_malformed(request(HEALTH_CHECK, field))
        self.is_malformed(request(HEALTH_CHECK, te="gzip"))

    def test_pseudo_headers_are_the_known_ones_once_and_first(self):
        self.is_malformed(request(HEALTH_CHECK, (":unknown", "x"))[::-1])
        self.is_malformed([(":status", "200")] + request(HEALTH_CHECK))
        self.is_malformed([(":unknown", "x")] + request(HEALTH_CHECK))
        self.is_malformed(request(HEALTH_CHECK, (":method", "POST")))  # after the others
        for name in (":method", ":scheme", ":path"):
            self.is_malformed(request(HEALTH_CHECK, without=[name]))
            self.is_malformed([(name, dict(request(HEALTH_CHECK))[name])] + request(HEALTH_CHECK))
        for path in ("", "*", "no-slash"):
            self.is_malformed(request(path))

    def test_trailers_hold_no_pseudo_headers_and_end_the_call(self):
        begun = headers(1, request(HEALTH_CHECK)) + data(1, message())
        self.fails("PROTOCOL_ERROR", 1, begun, headers(1, [(":path", "/")], end=True))
        self.fails("PROTOCOL_ERROR", 1, begun, headers(1, [("a", "b")]))

    def test_trailers_of_a_client_are_read_over(self):
        peer = self.peer()
        peer.send(headers(1, request(HEALTH_CHECK)), data(1, message()), headers(1, [("a", "b")], end=True))
        self.assertEqual(peer.answer(1).messages, SERVING)

    def test_a_content_length_must_be_true(self):
        for length, sent in (("6", message()), ("4", message()), ("0", message())):
            with self.subTest(length=length):
                self.fails("PROTOCOL_ERROR", 1, call(1, HEALTH_CHECK, sent, ("content-length", length)))
        for length in ("x", "-1", "5, 5", "99999999999999999999"):
            self.is_malformed(request(HEALTH_CHECK, ("content-length", length)))
        self.is_malformed(request(HEALTH_CHECK, ("content-length", "5"), ("content-length", "5")))
        peer = self.peer()
        self.assertEqual(peer.ask(1, HEALTH_CHECK, message(), ("content-length", "5")).messages, SERVING)


if __name__ == "__main__":
    unittest.main()
