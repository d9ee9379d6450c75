# SPDX-License-Identifier: Apache-2.0
"""The RPC layer through a real client: rpc_test.py SERVER PROTOSET [unittest arguments]."""

import queue
import resource
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest

import grpc
from rpc_harness import FOR_EVER, SLOW, TIMEOUT, TRANSPORT, Authority, Server, details, message, stub, wait_until

ECHO = "echo.v1.EchoService/"
Echo = message("echo.v1.EchoRequest")
Repeat = message("echo.v1.RepeatRequest")
Fail = message("echo.v1.FailRequest")
Counts = message("echo.v1.GetCountsRequest")
HealthRequest = message("grpc.health.v1.HealthCheckRequest")
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


class Case(unittest.TestCase):
    def serve(self, *options, **more):
        server = Server(*options, **more)
        if "expect_error" not in more:
            self.addCleanup(server.close)
        return server

    def fails(self, code, call):
        """Runs the call, which must fail with that code; returns its error."""
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception


class Calls(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("-l", "65536", "-s", "100")
        cls.channel = cls.server.channel()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def call(self, method, request, **options):
        options.setdefault("timeout", TIMEOUT)
        return stub(self.channel, ECHO + method)(request, **options)

    def counts(self):
        return self.call("GetCounts", Counts())

    def test_a_unary_call_is_answered(self):
        for text in ("", "hello", "é" * 10000):
            answer = self.call("Echo", Echo(text=text))
            self.assertEqual(answer.text, text)
            self.assertEqual(answer.peer, "127.0.0.1")
            self.assertEqual(answer.method, "/" + ECHO + "Echo")
            self.assertEqual(list(answer.identities), [])

    def test_a_message_that_comes_in_pieces_is_put_together(self):
        text = "0123456789" * 6000
        for _ in range(20):
            self.assertEqual(self.call("Echo", Echo(text=text)).text, text)

    def test_answers_may_come_late_and_from_another_thread(self):
        futures = [
            stub(self.channel, ECHO + "EchoLater").future(Echo(text=str(i), delay_ms=(i * 7) % 30), timeout=TIMEOUT)
            for i in range(200)
        ]
        for i, future in enumerate(futures):
            self.assertEqual(future.result().text, str(i))

    def test_the_deadline_is_seen_by_the_handler(self):
        self.assertEqual(self.call("Echo", Echo(), timeout=None).time_left_ms, -1)
        left = self.call("Echo", Echo(), timeout=1000).time_left_ms
        self.assertTrue(900_000 < left <= 1_020_000, left)  # on the wire it is rounded up

    def test_metadata_reaches_the_handler(self):
        metadata = [("authorization", "Bearer x"), ("x-request-id", "abc.DEF_1-2"), ("traceparent", "00-aa-bb-01")]
        answer = self.call("Echo", Echo(), metadata=metadata)
        self.assertEqual(answer.authorization, "Bearer x")
        self.assertEqual(answer.request_id, "abc.DEF_1-2")
        self.assertEqual(answer.traceparent, "00-aa-bb-01")

    def test_a_request_id_that_is_no_such_thing_is_replaced(self):
        made = set()
        for bad in ("", "x" * 40, "a b", "a;b", 'a"b'):
            answer = self.call("Echo", Echo(), metadata=[("x-request-id", bad)])
            self.assertRegex(answer.request_id, r"^[0-9a-f]{16}-[0-9a-f]+$")
            made.add(answer.request_id)
        self.assertEqual(len(made), 5)
        longest = "x" * 39
        self.assertEqual(self.call("Echo", Echo(), metadata=[("x-request-id", longest)]).request_id, longest)

    def test_two_authorization_headers_are_unauthenticated(self):
        metadata = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
        error = self.fails(
            grpc.StatusCode.UNAUTHENTICATED, lambda: self.call("Echo", Echo(text="x"), metadata=metadata)
        )
        self.assertEqual(details(error)["ErrorInfo"].reason, "BAD_AUTHORIZATION")
        self.fails(
            grpc.StatusCode.UNAUTHENTICATED, lambda: list(self.call("Repeat", Repeat(count=1), metadata=metadata))
        )
        self.fails(
            grpc.StatusCode.UNAUTHENTICATED,
            lambda: list(stub(self.channel, ECHO + "Chat")(iter([Echo()]), metadata=metadata, timeout=TIMEOUT)),
        )

    def test_an_error_carries_its_reason_and_the_request_id(self):
        metadata = [("x-request-id", "find-me")]
        error = self.fails(
            grpc.StatusCode.NOT_FOUND, lambda: self.call("Fail", Fail(kind="reason"), metadata=metadata)
        )
        self.assertEqual(error.details(), 'there is no "thing" – nowhere')
        found = details(error)
        self.assertEqual(set(found), {"ErrorInfo"})
        self.assertEqual(found["ErrorInfo"].reason, "NO_SUCH_THING")
        self.assertEqual(found["ErrorInfo"].domain, "gatehouse")
        self.assertEqual(dict(error.trailing_metadata())["x-request-id"], "find-me")

    def test_an_error_in_a_field_names_it(self):
        found = details(self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.call("Fail", Fail(kind="field"))))
        violation = found["BadRequest"].field_violations[0]
        self.assertEqual((violation.field, violation.description), ("thing.name", "too long"))

    def test_an_error_tells_when_to_try_again(self):
        found = details(self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: self.call("Fail", Fail(kind="retry"))))
        delay = found["RetryInfo"].retry_delay
        self.assertEqual((delay.seconds, delay.nanos), (1, 500_000_000))

    def test_a_handler_that_fails_without_a_word_is_an_internal_error(self):
        error = self.fails(grpc.StatusCode.INTERNAL, lambda: self.call("Fail", Fail(kind="silent")))
        self.assertEqual(details(error)["ErrorInfo"].reason, "INTERNAL")

    def test_a_message_that_is_cut_in_a_character_is_still_utf_8(self):
        error = self.fails(grpc.StatusCode.ABORTED, lambda: self.call("Fail", Fail(kind="long")))
        self.assertRegex(error.details(), r"^é\?\?\?\?€{80,}\?*$")
        self.assertEqual(details(error)["ErrorInfo"].reason, "LONG")

    def test_an_unknown_method_is_unimplemented(self):
        for path in ("/echo.v1.EchoService/Nonsense", "/no.Service/Echo", "/"):
            error = self.fails(
                grpc.StatusCode.UNIMPLEMENTED, lambda p=path: self.channel.unary_unary(p)(b"", timeout=TIMEOUT)
            )
            self.assertEqual(details(error)["ErrorInfo"].reason, "UNKNOWN_METHOD")

    def test_an_unreadable_message_is_an_invalid_argument(self):
        call = self.channel.unary_unary("/echo.v1.EchoService/Echo")
        for bad in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab", b"\x0b"):
            error = self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda b=bad: call(b, timeout=TIMEOUT))
            self.assertEqual(details(error)["ErrorInfo"].reason, "UNREADABLE_MESSAGE")
        stream = self.channel.unary_stream("/echo.v1.EchoService/Repeat")
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(stream(b"\xff", timeout=TIMEOUT)))
        chat = self.channel.stream_stream("/echo.v1.EchoService/Chat")
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(chat(iter([b"\xff"]), timeout=TIMEOUT)))

    def test_a_request_without_a_message_is_an_invalid_argument(self):
        call = self.channel.stream_unary("/echo.v1.EchoService/Echo")
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(iter([]), timeout=TIMEOUT))

    def test_a_message_over_the_limit_is_refused(self):
        self.call("Echo", Echo(text="x" * 65000))
        for size in (65536, 300_000, 5_000_000):
            self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda s=size: self.call("Echo", Echo(text="x" * s)))
        self.assertEqual(self.call("Echo", Echo(text="y")).text, "y")

    def test_a_compressed_bomb_is_refused_unread(self):
        before = self.server.resident_kb()
        channel = self.server.channel(options=[("grpc.max_send_message_length", -1)])
        call = stub(channel, ECHO + "Echo")
        with self.assertRaises(grpc.RpcError):
            call(Echo(text="x" * 60_000_000), compression=grpc.Compression.Gzip, timeout=TIMEOUT)
        if SLOW == 1:  # a sanitizer keeps what was freed
            self.assertLess(self.server.resident_kb() - before, 20_000)
        self.assertEqual(self.call("Echo", Echo(text="y")).text, "y")

    def test_metadata_over_the_limit_is_refused(self):
        echo = stub(self.server.channel(), ECHO + "Echo")
        echo(Echo(), metadata=[("a", "x" * 7000)], timeout=TIMEOUT)
        self.fails(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            lambda: echo(Echo(), metadata=[("a", "x" * 9000)], timeout=TIMEOUT),
        )
        self.call("Echo", Echo())  # on another connection: gRPC core often closes the one that went too far

    def test_a_deadline_that_passes_is_told_to_client_and_handler(self):
        before = self.counts().cancelled
        self.fails(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            lambda: self.call("EchoLater", Echo(delay_ms=1000 * TIMEOUT), timeout=0.2),
        )
        wait_until(lambda: self.counts().cancelled == before + 1, "the handler hears of it")
        # The client gives up at its deadline as well, and its word may be there first.
        either = ("DEADLINE_EXCEEDED", "CANCELLED")
        wait_until(lambda: self.counts().last_status in either, "the observer hears of it")

    def test_a_cancellation_is_seen_by_the_handler(self):
        before = self.counts()
        future = stub(self.channel, ECHO + "EchoLater").future(Echo(delay_ms=1000 * TIMEOUT), timeout=TIMEOUT)
        self.counts()  # behind it on the same connection
        future.cancel()
        wait_until(lambda: self.counts().cancelled == before.cancelled + 1, "the handler hears of it")
        wait_until(lambda: self.counts().last_status == "CANCELLED", "the observer hears of it")

    def test_a_client_that_vanishes_is_a_cancellation(self):
        before = self.counts().cancelled
        channel = self.server.channel()
        futures = [
            stub(channel, ECHO + "EchoLater").future(Echo(delay_ms=1000 * TIMEOUT), timeout=TIMEOUT) for _ in range(5)
        ]
        stub(channel, ECHO + "Echo")(Echo(), timeout=TIMEOUT)
        channel.close()
        wait_until(lambda: self.counts().cancelled == before + 5, "the handlers hear of it")
        del futures

    def test_the_observer_hears_of_each_call(self):
        def is_last():  # what was cancelled before may be observed after it, so that it is asked again
            self.fails(grpc.StatusCode.NOT_FOUND, lambda: self.call("Fail", Fail(kind="reason")))
            counts = self.counts()
            return (counts.last_method, counts.last_status) == ("/" + ECHO + "Fail", "NOT_FOUND")

        wait_until(is_last, "the failed call is observed")

    def test_a_stream_delivers_every_message_in_order(self):
        answers = list(self.call("Repeat", Repeat(count=5000, size=10)))
        self.assertEqual(len(answers), 5000)
        self.assertEqual(list(self.call("Repeat", Repeat(count=0))), [])

    def test_a_stream_waits_for_a_slow_reader(self):
        answers = self.call("Repeat", Repeat(count=400, size=50_000))  # 20 MB, which must not pile up in the server
        before = self.server.resident_kb()
        count = 0
        for count, answer in enumerate(answers, 1):
            self.assertEqual(len(answer.text), 50_000)
            if count == 1:
                time.sleep(0.5)
        self.assertEqual(count, 400)
        if SLOW == 1:
            self.assertLess(self.server.resident_kb() - before, 15_000)

    @unittest.skipUnless(TRANSPORT == "nghttp2", "gRPC core does not count it")
    def test_many_slow_readers_of_one_connection_are_held(self):
        channel = self.server.channel()
        before = self.server.resident_kb()
        repeat = stub(channel, ECHO + "Repeat")
        streams = [repeat(Repeat(count=2000, size=50_000), timeout=TIMEOUT) for _ in range(90)]
        codes = []
        for answers in streams:
            try:
                next(answers)
            except grpc.RpcError as error:  # those that were too many, and those that came when it was full
                codes.append(error.code())
            else:
                answers.cancel()
        self.assertLessEqual(set(codes), {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE})
        if SLOW == 1:
            self.assertLess(self.server.resident_kb() - before, 30_000)

    def test_a_handler_that_floods_a_stream_ends_it(self):
        answers = self.call("Repeat", Repeat(count=1000, size=50_000, heedless=True))
        error = self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: list(answers))
        self.assertEqual(details(error)["ErrorInfo"].reason, "SLOW_READER")

    def test_a_stream_may_end_with_an_error(self):
        answers = self.call("Repeat", Repeat(count=3, fail_at_end=True))
        got = []
        error = self.fails(grpc.StatusCode.ABORTED, lambda: [got.append(answer) for answer in answers])
        self.assertEqual(len(got), 3)
        self.assertEqual(details(error)["ErrorInfo"].reason, "ENOUGH")

    def test_a_cancelled_stream_ends_its_handler(self):
        before = self.counts().cancelled
        answers = self.call("Repeat", Repeat(count=-1, size=1000))
        for _ in range(10):
            next(answers)
        answers.cancel()
        wait_until(lambda: self.counts().cancelled == before + 1, "the handler hears of it")

    def test_a_stream_of_requests_is_answered_one_by_one(self):
        answers = stub(self.channel, ECHO + "Chat")(
            (Echo(text=str(i)) for i in range(1000)), timeout=TIMEOUT, metadata=[("authorization", "Bearer y")]
        )
        for i, answer in enumerate(answers):
            self.assertEqual((answer.text, answer.authorization), (str(i), "Bearer y"))
        self.assertEqual(i, 999)
        self.assertEqual(list(stub(self.channel, ECHO + "Chat")(iter([]), timeout=TIMEOUT)), [])

    def test_a_stream_of_requests_can_be_left(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def requests():
            yield Echo(text="1")
            go_on.wait(TIMEOUT)

        before = self.counts().ended
        answers = stub(self.channel, ECHO + "Chat")(requests(), timeout=TIMEOUT)
        self.assertEqual(next(answers).text, "1")
        answers.cancel()
        wait_until(lambda: self.counts().last_method.endswith("/Chat"), "it ends")
        self.assertGreater(self.counts().ended, before)

    def talk(self, **options):
        """(a queue whose requests are sent, until None; the answers)"""
        requests = queue.Queue()
        self.addCleanup(requests.put, None)
        return requests, stub(self.channel, ECHO + "Talk")(iter(requests.get, None), timeout=TIMEOUT, **options)

    def test_a_handler_may_send_unasked(self):
        requests, answers = self.talk()
        requests.put(Echo(text="quiet", delay_ms=500))
        self.assertEqual([next(answers).text for _ in range(500)], ["unasked"] * 500)
        requests.put(Echo(text="and I?"))
        self.assertEqual(next(answers).text, "and I?")
        requests.put(Echo(text="quiet", delay_ms=1))
        self.assertEqual(next(answers).text, "unasked")

    def test_a_handler_that_converses_hears_its_clients_last(self):
        requests, answers = self.talk()
        for i in range(100):
            requests.put(Echo(text=str(i)))
        requests.put(None)
        self.assertEqual([answer.text for answer in answers], [str(i) for i in range(100)] + ["good bye"])

    def test_a_handler_that_converses_may_end_it(self):
        requests, answers = self.talk()
        requests.put(Echo(text="hello"))
        requests.put(Echo(text="stop"))
        self.assertEqual(next(answers).text, "hello")
        self.assertEqual(details(self.fails(grpc.StatusCode.ABORTED, lambda: next(answers)))["ErrorInfo"].reason, "STOPPED")

    def test_a_conversation_can_be_left(self):
        requests, answers = self.talk()
        requests.put(Echo(text="hello", delay_ms=1_000_000))
        next(answers)
        answers.cancel()

        def has_ended():
            counts = self.counts()
            return (counts.last_method, counts.last_status) == ("/" + ECHO + "Talk", "CANCELLED")

        wait_until(has_ended, "its handler ends it")

    def test_garbage_on_the_port_harms_nobody(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100):
            with socket.create_connection(("127.0.0.1", self.server.port), TIMEOUT) as connection:
                connection.sendall(garbage)
                connection.settimeout(TIMEOUT)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        self.assertEqual(self.call("Echo", Echo(text="y")).text, "y")


class Reflection(Case):
    def test_both_versions_tell_of_every_service(self):
        server = self.serve()
        channel = server.channel()
        for version in ("v1", "v1alpha"):
            prefix = f"grpc.reflection.{version}."
            request = message(prefix + "ServerReflectionRequest")
            reflect = stub(channel, prefix + "ServerReflection/ServerReflectionInfo")
            requests = [
                request(list_services="*"),
                request(file_containing_symbol="echo.v1.EchoService"),
                request(file_containing_symbol="echo.v1.EchoService.Chat"),
                request(file_containing_symbol="echo.v1.EchoRequest.text"),
                request(file_by_filename="google/rpc/status.proto"),
                request(file_containing_symbol="grpc.health.v1.HealthCheckResponse.ServingStatus"),
                request(file_containing_symbol="echo.v1.Nothing"),
                request(file_containing_symbol="echo.v1"),
                request(file_by_filename="nothing.proto"),
                request(all_extension_numbers_of_type="echo.v1.EchoRequest"),
                request(all_extension_numbers_of_type="echo.v1.Nothing"),
                request(file_containing_extension={"containing_type": "echo.v1.EchoRequest", "extension_number": 5}),
                request(),
            ]
            answers = list(reflect(iter(requests), timeout=TIMEOUT))
            self.assertEqual([answer.original_request for answer in answers], requests)
            names = [service.name for service in answers[0].list_services_response.service]
            self.assertEqual(
                sorted(names),
                [
                    "echo.v1.EchoService",
                    "gatehouse.v1.AuthService",
                    "grpc.health.v1.Health",
                    "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection",
                ],
            )
            files = [self.file_names(answer) for answer in answers]
            self.assertEqual(files[1], ["echo.proto"])
            self.assertEqual(files[2], ["echo.proto"])
            self.assertEqual(files[3], ["echo.proto"])
            self.assertEqual(files[4], ["google/rpc/status.proto", "google/protobuf/any.proto"])
            self.assertEqual(files[5], ["grpc/health/v1/health.proto"])
            codes = [answer.error_response.error_code for answer in answers]
            self.assertEqual(codes, [0, 0, 0, 0, 0, 0, 5, 5, 5, 0, 5, 5, 3])

    def file_names(self, answer):
        parse = message_from_descriptor
        return [parse(raw).name for raw in answer.file_descriptor_response.file_descriptor_proto]


def message_from_descriptor(raw):
    from google.protobuf import descriptor_pb2

    return descriptor_pb2.FileDescriptorProto.FromString(raw)


class Health(Case):
    def test_check_knows_the_services(self):
        channel = self.serve().channel()
        check = stub(channel, "grpc.health.v1.Health/Check")
        for service in ("", "echo.v1.EchoService", "grpc.health.v1.Health"):
            self.assertEqual(check(HealthRequest(service=service), timeout=TIMEOUT).status, SERVING)
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: check(HealthRequest(service="no.Service"), timeout=TIMEOUT))

    def test_a_watch_hears_of_each_change_and_of_the_end(self):
        server = self.serve()
        channel = server.channel()
        watch = stub(channel, "grpc.health.v1.Health/Watch")
        known = watch(HealthRequest(), timeout=TIMEOUT)
        unknown = watch(HealthRequest(service="no.Service"), timeout=TIMEOUT)
        self.assertEqual(next(known).status, SERVING)
        self.assertEqual(next(unknown).status, SERVICE_UNKNOWN)
        for order, status in (("serving 0", NOT_SERVING), ("serving 1", SERVING)):
            self.assertEqual(server.order(order), "ok")
            self.assertEqual(next(known).status, status)
            check = stub(channel, "grpc.health.v1.Health/Check")
            self.assertEqual(check(HealthRequest(), timeout=TIMEOUT).status, status)
        server.order(f"stop {FOR_EVER}")  # which no watch holds up
        self.assertEqual(next(known).status, NOT_SERVING)
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: list(known))
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: list(unknown))

    def test_a_watch_that_is_left_leaves_nothing(self):
        server = self.serve()
        channel = server.channel()
        watch = stub(channel, "grpc.health.v1.Health/Watch")
        for _ in range(300):
            answers = watch(HealthRequest(), timeout=TIMEOUT)
            next(answers)
            answers.cancel()
        counts = stub(channel, ECHO + "GetCounts")
        wait_until(lambda: counts(Counts(), timeout=TIMEOUT).ended >= 300, "all of them end")


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.other = Authority()
        cls.authority.issue("server", "localhost", "DNS:localhost")
        cls.authority.issue("client", "billing", "DNS:billing.internal,URI:spiffe://example/billing")
        cls.other.issue("client", "billing", "DNS:billing.internal")

    def options(self, mutual):
        path = self.authority.path
        options = ["-c", path("server.pem"), "-k", path("server.key")]
        return options + ["-m", path("ca.pem")] if mutual else options

    def credentials(self, authority=None):
        ca = self.authority.read("ca.pem")
        if authority is None:
            return grpc.ssl_channel_credentials(ca)
        return grpc.ssl_channel_credentials(ca, authority.read("client.key"), authority.read("client.pem"))

    def test_tls_serves_without_a_client_certificate(self):
        server = self.serve(*self.options(False))
        answer = stub(server.channel(self.credentials()), ECHO + "Echo")(Echo(text="t"), timeout=TIMEOUT)
        self.assertEqual((answer.text, list(answer.identities)), ("t", []))
        plain = stub(server.channel(), ECHO + "Echo")
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: plain(Echo(), timeout=TIMEOUT))

    def test_mutual_tls_tells_who_the_client_is(self):
        server = self.serve(*self.options(True))
        answer = stub(server.channel(self.credentials(self.authority)), ECHO + "Echo")(Echo(), timeout=TIMEOUT)
        self.assertEqual(set(answer.identities), {"billing.internal", "spiffe://example/billing"})

    def test_mutual_tls_refuses_strangers(self):
        server = self.serve(*self.options(True))
        for credentials in (self.credentials(), self.credentials(self.other)):
            echo = stub(server.channel(credentials), ECHO + "Echo")
            self.fails(grpc.StatusCode.UNAVAILABLE, lambda e=echo: e(Echo(), timeout=TIMEOUT))

    def serial(self, server):
        context = ssl.create_default_context(cadata=self.authority.read("ca.pem").decode())
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.getpeercert()["serialNumber"]

    def test_a_new_certificate_is_served_while_old_connections_go_on(self):
        self.authority.issue("reload", "localhost", "DNS:localhost")
        server = self.serve("-c", self.authority.path("reload.pem"), "-k", self.authority.path("reload.key"))
        old = stub(server.channel(self.credentials()), ECHO + "Echo")
        old(Echo(), timeout=TIMEOUT)
        first = self.serial(server)
        self.authority.issue("reload", "localhost", "DNS:localhost")
        self.assertEqual(self.serial(server), first)  # not before it is told to
        self.assertEqual(server.order("reload"), "OK")
        second = self.serial(server)
        self.assertNotEqual(second, first)
        self.assertEqual(old(Echo(text="o"), timeout=TIMEOUT).text, "o")

        with open(self.authority.path("reload.key"), "wb") as key:  # of another certificate
            key.write(self.authority.read("client.key"))
        self.assertEqual(server.order("reload"), "FAILED_PRECONDITION")
        self.assertEqual(self.serial(server), second)

    def test_certificates_that_cannot_be_used_are_told_at_the_start(self):
        path = self.authority.path
        for options in (
            ("-c", path("server.pem"), "-k", path("client.key")),
            ("-c", path("nothing"), "-k", path("server.key")),
            ("-c", path("server.key"), "-k", path("server.key")),
            ("-c", path("server.pem"), "-k", path("server.key"), "-m", path("nothing")),
        ):
            self.assertEqual(self.serve(*options, expect_error=True).error, "FAILED_PRECONDITION")
        self.assertIn("TLS", self.serve("-c", path("server.pem"), expect_error=True).error)


class Life(Case):
    def test_a_port_in_use_is_unavailable(self):
        server = self.serve()
        self.assertEqual(self.serve("-a", server.address, expect_error=True).error, "UNAVAILABLE")

    def test_a_unix_socket_serves(self):
        with tempfile.TemporaryDirectory() as directory:
            server = self.serve("-a", f"unix:{directory}/socket")
            server.address = f"unix:{directory}/socket"
            answer = stub(server.channel(), ECHO + "Echo")(Echo(text="u"), timeout=TIMEOUT)
            self.assertEqual((answer.text, answer.peer), ("u", "unix"))
            time.sleep(2.5)  # the watchdog dials twice

    def test_ipv6_peers_are_known_by_their_address(self):
        try:
            server = self.serve("-a", "[::1]:0")
        except AssertionError:
            self.skipTest("no IPv6 here")
        server.address = f"[::1]:{server.port}"
        answer = stub(server.channel(), ECHO + "Echo")(Echo(), timeout=TIMEOUT)
        self.assertEqual(answer.peer, "::1")

    def load(self, server, count):
        """Clients that call until they are refused; returns (threads, what has succeeded, what failed otherwise)."""
        successes, failures = [], []

        def run(index):
            later = stub(server.channel(), ECHO + "EchoLater")
            done = 0
            while True:
                futures = [later.future(Echo(text="x", delay_ms=i), timeout=TIMEOUT) for i in range(8)]
                refused = 0
                for future in futures:
                    try:
                        future.result()
                        done += 1
                    except grpc.RpcError as error:
                        # CANCELLED: gRPC core's word to calls that came in between its shutdown and its GOAWAY
                        refused += 1
                        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                            failures.append((index, error))
                if refused:
                    successes.append(done)
                    return

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        return threads, successes, failures

    def test_draining_under_load_drops_no_call_that_was_taken(self):
        for _ in range(3):
            server = self.serve()
            threads, successes, failures = self.load(server, 6)
            counts = stub(server.channel(), ECHO + "GetCounts")
            wait_until(lambda: counts(Counts(), timeout=TIMEOUT).ended > 500, "there is load")
            ended_well = int(server.order(f"stop {1000 * TIMEOUT}"))
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            # Each call that a handler has answered reached its client.
            self.assertEqual(ended_well, sum(successes))

    def test_what_outlasts_the_grace_is_cancelled(self):
        server = self.serve()
        channel = server.channel()
        endless = stub(channel, ECHO + "Repeat")(Repeat(count=-1, size=10))
        next(endless)
        later = stub(channel, ECHO + "EchoLater").future(Echo(delay_ms=FOR_EVER))
        stub(channel, ECHO + "Echo")(Echo(), timeout=TIMEOUT)
        server.order("stop 300")
        with self.assertRaises(grpc.RpcError):
            later.result()
        with self.assertRaises(grpc.RpcError):
            list(endless)

    def test_an_idle_stream_of_requests_does_not_hold_up_the_drain(self):
        server = self.serve()
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def requests():
            yield Echo(text="1")
            go_on.wait(TIMEOUT)

        answers = stub(server.channel(), ECHO + "Chat")(requests(), timeout=TIMEOUT)
        next(answers)
        server.order(f"stop {FOR_EVER}")
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: list(answers))

    def test_a_conversation_is_asked_to_end_when_the_server_drains(self):
        server = self.serve()
        requests = queue.Queue()
        self.addCleanup(requests.put, None)
        answers = stub(server.channel(), ECHO + "Talk")(iter(requests.get, None), timeout=TIMEOUT)
        requests.put(Echo(text="hello"))
        next(answers)
        server.order(f"stop {1000 * TIMEOUT}")
        self.assertEqual(details(self.fails(grpc.StatusCode.UNAVAILABLE, lambda: next(answers)))["ErrorInfo"].reason, "FINISH")

    @unittest.skipUnless(TRANSPORT == "nghttp2", "gRPC core cuts what is left after its grace")
    def test_streams_end_by_themselves_before_the_connections_age_and_calls_go_on(self):
        server = self.serve("-g", "2000")
        channel = server.channel()
        watch = stub(channel, "grpc.health.v1.Health/Watch")(HealthRequest(), timeout=TIMEOUT)
        later, echo = stub(channel, ECHO + "EchoLater"), stub(channel, ECHO + "Echo")
        endless = later.future(Echo(delay_ms=1000 * TIMEOUT), timeout=TIMEOUT)
        next(watch)
        self.assertEqual(later(Echo(text="x", delay_ms=1), timeout=TIMEOUT).text, "x")
        error = self.fails(grpc.StatusCode.UNAVAILABLE, lambda: next(watch))  # its handler ends it
        self.assertEqual(details(error)["ErrorInfo"].reason, "DRAINING")
        error = self.fails(grpc.StatusCode.UNAVAILABLE, endless.result)  # whose handler does not
        self.assertEqual(details(error)["ErrorInfo"].reason, "DRAINING")
        end = time.monotonic() + 5
        while time.monotonic() < end:  # over two more connections
            self.assertEqual(echo(Echo(text="y"), timeout=TIMEOUT).text, "y")

    def test_every_address_of_the_machine_is_listened_on(self):
        server = self.serve("-a", "*:0")
        for host in ("127.0.0.1", "[::1]"):
            server.address = f"{host}:{server.port}"
            self.assertEqual(stub(server.channel(), ECHO + "Echo")(Echo(), timeout=TIMEOUT).peer, host.strip("[]"))
        other = self.serve("-a", f"127.0.0.1:{server.port}", expect_error=True)
        self.assertEqual(other.error, "UNAVAILABLE")

    def test_a_stream_without_an_end_leaves_room_for_others(self):
        server = self.serve("-t", "1")  # all on one thread
        go_on = threading.Event()

        def frame(kind, flags, stream, payload):
            return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

        def read():
            while not go_on.is_set() and client.recv(1 << 20):
                pass

        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/" + ECHO + "Repeat"),
                  ("content-type", "application/grpc")]
        block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields)
        message = Repeat(count=-1, size=1000).SerializeToString()
        endless = (2**31 - 1).to_bytes(4, "big")
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\4" + endless) +
                           frame(8, 0, 0, (2**31 - 1 - 65535).to_bytes(4, "big")) + frame(1, 4, 1, block) +
                           frame(0, 1, 1, b"\0" + len(message).to_bytes(4, "big") + message))
            reader = threading.Thread(target=read)
            reader.start()
            try:
                echo = stub(server.channel(), ECHO + "Echo")
                for i in range(50):
                    self.assertEqual(echo(Echo(text=str(i)), timeout=TIMEOUT).text, str(i))
            finally:
                go_on.set()
                reader.join()

    def test_a_client_that_looks_away_does_not_hold_up_the_drain(self):
        server = self.serve()
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            self.assertTrue(client.recv(1))  # the server's SETTINGS; from here on it is told nothing
            server.order(f"stop {FOR_EVER}")

    def take_descriptors(self, server):
        """Leaves it none to accept with."""
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (40, before[1]))
        return before, [socket.create_connection(("127.0.0.1", server.port), TIMEOUT) for _ in range(60)]

    @unittest.skipUnless(TRANSPORT == "core", "gRPC core's weakness (CVE-2023-4785)")
    def test_a_server_that_accepts_no_more_ends_itself(self):
        server = Server()
        _, connections = self.take_descriptors(server)
        self.assertEqual(server.process.wait(60 * SLOW), 1)
        for connection in connections:
            connection.close()
        server.process.stdin.close()
        server.process.stdout.close()

    @unittest.skipUnless(TRANSPORT == "nghttp2", "gRPC core ends accepting for good")
    def test_without_descriptors_old_clients_are_served_and_new_ones_wait(self):
        server = self.serve()
        old, new = stub(server.channel(), ECHO + "Echo"), stub(server.channel(), ECHO + "Echo")
        old(Echo(), timeout=TIMEOUT)
        before, connections = self.take_descriptors(server)
        future = new.future(Echo(text="new"), timeout=TIMEOUT, wait_for_ready=True)
        self.assertEqual(old(Echo(text="old"), timeout=TIMEOUT).text, "old")
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
        self.assertEqual(future.result().text, "new")
        for connection in connections:
            connection.close()

    def test_a_server_that_is_well_does_not_end_itself(self):
        authority = Authority()
        authority.issue("server", "localhost", "DNS:localhost")
        tls = ("-c", authority.path("server.pem"), "-k", authority.path("server.key"))
        servers = [self.serve(), self.serve(*tls), self.serve(*tls, "-m", authority.path("ca.pem"))]
        time.sleep(5)
        for server in servers:
            self.assertIsNone(server.process.poll())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
