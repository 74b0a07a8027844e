"""
Journeys with the programs of the reference: its client at our proxy, ours at
its proxy.
"""

from __future__ import annotations

from tests.bystanders import GO_REFUSED, GoClient, GoProxy, idOf
from tests.internet import Machine
from tests.journeys import METRICS, PLAIN, Exporter, Journey, Visit


class GoClientTests(Journey):
    """
    Clients of the reference at our proxy.
    """

    def setUp(self) -> None:
        """
        A proxy, and nobody polls yet.
        """
        super().setUp()
        self.proxy = self.startProxy()

    def startGo(self, name: bytes = b"t1", address: str = "10.1.0.5") -> GoClient:
        """
        Start a client of the reference.
        """
        client = GoClient(self.net, address, name)
        self.others.append(client.stop)
        client.poll()
        self.net.pass_(1)
        return client

    def test_scrape(self) -> None:
        """
        A Go client is served for an hour over one poll at a time, and is never
        ended by us.
        """
        client = self.startGo()
        for reply in self.scrapes(60, 60):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        self.assertEqual(client.statuses, 60 * [200])
        self.assertEqual({push.said for push in client.pushes}, {"200 OK"})

    def test_instruction(self) -> None:
        """
        What its poll brings has one id, which the scraper did not choose, and
        nothing that was meant for the proxy.
        """
        client = self.startGo()
        self.scrape(
            headers=[
                (b"Id", b"chosen"),
                (b"Proxy-Authorization", b"Basic cHJveHk6c2VjcmV0"),
                (b"Connection", b"X-Hop"),
                (b"X-Hop", b"1"),
            ]
        )
        (instruction,) = client.instructions
        for absent in (b"chosen", b"roxy-Auth", b"onnection", b"X-Hop"):
            self.assertNotIn(absent, instruction)
        self.assertEqual(instruction.count(b"\r\nId: "), 1)

    def test_idle(self) -> None:
        """
        Its poll is held for as long as there is no scrape: two hours.
        """
        client = self.startGo()
        self.net.pass_(7200)
        self.assertEqual(client.statuses, [])
        self.assertMetrics(self.scrape())

    def test_refused(self) -> None:
        """
        Its own errors arrive with the status and the text it gave them.
        """
        self.startGo().answer = GO_REFUSED
        reply = self.scrape()
        self.assertEqual(reply.said, "500 Internal Server Error")
        self.assertIn(b"connection refused", reply.body)

    def test_chunked(self) -> None:
        """
        A chunked answer, as it pushes it, arrives whole.
        """
        self.startGo().answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(METRICS), METRICS)
        )
        self.assertMetrics(self.scrape())

    def test_brokenChunked(self) -> None:
        """
        A chunked answer that broke off inside its push is a 502.
        """
        self.startGo().answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n" % (len(METRICS), METRICS)
        )
        self.assertBrokenOff(self.scrape(), "The answer of t1 broke off")

    def test_slowOnce(self) -> None:
        """
        A target that takes 5 s is scraped once: the next poll is the receipt.
        """
        client = self.startGo()
        client.delay = 5.0
        reply = self.scrape()
        self.net.pass_(6)
        self.assertMetrics(reply)
        self.assertEqual(len(client.instructions), 1)

    def test_spelling(self) -> None:
        """
        It gets its name as it spelled it, since it compares bytes.
        """
        client = self.startGo(b"T1.Example")
        self.scrape("http://t1.example:9100/metrics")
        self.assertTrue(
            client.instructions[0].startswith(b"GET http://T1.Example:9100/metrics ")
        )

    def test_besideOurs(self) -> None:
        """
        A Go client and ours under different names do not disturb each other.
        """
        other = self.startGo(b"t2")
        exporter = self.startExporter()
        self.startClient("t1")
        self.net.pass_(1)
        for _ in range(10):
            first = self.scrape()
            second = self.scrape("http://t2:9100/metrics")
            self.net.pass_(5)
            self.assertMetrics(first)
            self.assertMetrics(second)
        self.assertEqual((len(exporter.requests), len(other.instructions)), (10, 10))

    def test_sameName(self) -> None:
        """
        A Go client and ours under the same name: one of them does it all, until
        it dies.
        """
        other = self.startGo()
        self.assertMetrics(self.scrape())
        exporter = self.startExporter()
        self.startClient()
        self.net.pass_(1)
        for reply in self.scrapes(10, 5):
            self.assertMetrics(reply)
        self.assertEqual((len(exporter.requests), len(other.instructions)), (0, 11))
        other.stop()
        for reply in self.scrapes(10, 5):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        self.assertEqual(len(exporter.requests), 10)

    def test_twoOfThem(self) -> None:
        """
        Two Go clients of one name, which cannot be told apart, lose no scrape
        and are not set against each other.
        """
        clients = [self.startGo(address=f"10.1.0.{n}") for n in (5, 6)]
        for reply in self.scrapes(20, 5):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        for client in clients:
            self.assertEqual(set(client.statuses) - {200}, set())


class GoProxyTests(Journey):
    """
    Our client at a proxy of the reference.
    """

    def startGoProxy(self) -> GoProxy:
        """
        Start it where ours would be.
        """
        proxy = GoProxy()
        Machine(self.net, "10.0.0.1").listenTCP(8080, proxy)
        return proxy

    def setUp(self) -> None:
        """
        The two of them and a target.
        """
        super().setUp()
        self.goProxy = self.startGoProxy()
        self.exporter: Exporter = self.startExporter()

    def pushed(self, id: bytes = b"1", method: bytes = b"GET") -> bytes:
        """
        What is pushed for a scrape.
        """
        self.goProxy.scrape(b"http://t1:9100/metrics", id, method)
        self.net.pass_(2)
        (push,) = [each for each in self.goProxy.pushes if idOf(each) == id]
        return push

    def test_scrape(self) -> None:
        """
        The answer is pushed in the reference's form.
        """
        self.startClient()
        push = self.pushed(b"b7e61297-bd5b-4161-a5ed-a80975e7fbf7")
        head, _, body = push.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"\r\nContent-Length: %d" % len(METRICS), head)
        self.assertIn(b"\r\nX-Prometheus-Scrape-Timeout", head)
        self.assertEqual(body, METRICS)

    def test_neverTwoPolls(self) -> None:
        """
        There is one poll at a time, for two hours of silence and under load.
        """
        self.startClient()
        self.net.pass_(7200)
        self.exporter.delay = 0.5
        for number in range(200):
            self.goProxy.scrape(b"http://t1:9100/metrics", b"%d" % number)
            if number % 10 == 0:
                self.net.pass_(0.3)
        self.net.pass_(5)
        self.assertEqual(len(self.goProxy.pushes), 200)
        self.assertEqual(self.goProxy.superseded, 0)

    def test_length(self) -> None:
        """
        What the target sent without a length is pushed with one.
        """
        self.startClient()

        def closing(visit: Visit, request: bytes) -> None:
            visit.transport.write(b"HTTP/1.0 200 OK\r\n\r\n" + METRICS)
            visit.transport.loseConnection()

        chunked = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(METRICS), METRICS)
        )
        for number, answer in enumerate((closing, chunked)):
            self.exporter.answer = answer
            push = self.pushed(b"%d" % number)
            head, _, body = push.partition(b"\r\n\r\n")
            self.assertIn(b"\r\nContent-Length: %d" % len(METRICS), head)
            self.assertNotIn(b"transfer-encoding", head.lower())
            self.assertEqual(body, METRICS)

    def test_brokenOff(self) -> None:
        """
        What broke off without a length is pushed as a 502 with one: this proxy
        would take anything else for whole.
        """
        self.startClient()

        def breaking(visit: Visit, request: bytes) -> None:
            visit.transport.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndemo_"
            )
            self.net.callLater(1, visit.transport.abortConnection)

        self.exporter.answer = breaking
        push = self.pushed()
        self.assertTrue(push.startswith(b"HTTP/1.1 502 Target's answer broke off"))
        self.assertIn(b"\r\nContent-Length: ", push)

    def test_brokenOffWithLength(self) -> None:
        """
        What broke off within its length is pushed no further, but with that length,
        so that the scraper misses what is missing.
        """
        self.startClient()

        def breaking(visit: Visit, request: bytes) -> None:
            visit.transport.write(PLAIN[:-1])
            self.net.callLater(1, visit.transport.abortConnection)

        self.exporter.answer = breaking
        head, _, body = self.pushed().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"\r\nContent-Length: %d" % len(METRICS), head)
        self.assertEqual(body, METRICS[:-1])

    def test_withoutBody(self) -> None:
        """
        HEAD and 204 have no body, and do not wait for one.
        """
        self.startClient()
        self.exporter.answer = PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        push = self.pushed(b"1", b"HEAD")
        self.assertTrue(push.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(push.endswith(b"\r\n\r\n"))
        self.exporter.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        push = self.pushed(b"2")
        self.assertTrue(push.startswith(b"HTTP/1.1 204 No Content\r\n"))
        self.assertTrue(push.endswith(b"\r\n\r\n"))

    def test_handedOutAgain(self) -> None:
        """
        A scrape that a proxy hands out again, while the client is at it, is done
        and answered once.
        """
        self.startClient()
        self.exporter.delay = 3.0
        for _ in range(3):
            self.goProxy.scrape(b"http://t1:9100/metrics", b"1")
            self.net.pass_(0.5)
        self.net.pass_(5)
        self.assertEqual(len(self.exporter.requests), 1)
        self.assertEqual(len(self.goProxy.pushes), 1)

    def test_bigInstruction(self) -> None:
        """
        A scrape with a big head, which this proxy sends in chunks, is done.
        """
        self.startClient()
        self.goProxy.scrape(b"http://t1:9100/metrics?" + b"x" * 4000, b"1")
        self.net.pass_(1)
        self.assertEqual(len(self.goProxy.pushes), 1)

    def test_twoOfOneName(self) -> None:
        """
        Two clients of one name at this proxy end each other's polls, and do not
        chase each other.
        """
        self.startClient()
        self.startClient(address="10.1.0.9")
        self.net.pass_(60)
        self.assertLess(self.goProxy.polls, 60)
        for number in range(10):
            self.goProxy.scrape(b"http://t1:9100/metrics", b"%d" % number)
            self.net.pass_(6)
        self.assertEqual(len(self.goProxy.pushes), 10)
        self.assertLess(self.goProxy.polls, 140)

    def test_rolledBack(self) -> None:
        """
        A client with many polls at our proxy is down to one when that is rolled
        back to the reference, and has many again when it is back.
        """
        for port in list(self.net.ports.values()):
            if port.number == 8080:
                port.stopListening()
        self.net.latency = 0.05
        ours = self.startProxy()
        client = self.startClient()
        self.exporter.delay = 0.5
        self.net.pass_(3)
        replies = [*self.scrapes(1, 3), *(self.scrape() for _ in range(50))]
        self.net.pass_(4)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertGreater(client.metric("pushprox_client_polls"), 1)
        ours.crash()
        goProxy = self.startGoProxy()
        self.net.pass_(10)
        for number in range(50):
            goProxy.scrape(b"http://t1:9100/metrics", b"%d" % number)
        self.net.pass_(10)
        self.assertEqual(len(goProxy.pushes), 50)
        self.assertEqual(goProxy.superseded, 0)
        self.net.unplug(lambda port: port.number == 8080)
        self.startProxy()
        self.assertMetrics(self.scrapes(1, 1)[0])
