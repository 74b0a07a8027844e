"""
Journeys over lines that break, die, or are cut by what stands on the way.
"""

from __future__ import annotations

from tests.bystanders import GoClient, LoadBalancer
from tests.internet import Internet
from tests.journeys import METRICS, Journey, Reply

POLL = b"POST /poll HTTP/1.1\r\nHost: proxy\r\nContent-Length: 2\r\n\r\nt1"


class DyingClientTests(Journey):
    """
    Clients that die with a scrape in hand.
    """

    def test_afterTheReceipt(self) -> None:
        """
        A client that had begun is not replaced: 504 before the deadline, and the
        target was asked once.
        """
        self.startProxy()
        first = self.startClient()
        exporter = self.startExporter()
        exporter.answer = None
        reply = self.scrape(timeout="10")
        first.crash()
        self.startClient(address="10.1.0.9")
        self.net.pass_(10)
        self.assertEqual(reply.said, "504 t1 did not answer in 9.5 s")
        self.assertEqual(len(exporter.requests), 1)

    def test_beforeTheReceipt(self) -> None:
        """
        Where the line of the poll breaks before there was a receipt, somebody
        who stands by gets the scrape at once.
        """
        proxy = self.startProxy()
        self.startClient()
        self.startExporter()
        self.net.pass_(1)
        dying = self.net.talk("10.0.0.1", 8080, POLL)
        reply = self.scrape()
        self.assertIn(b"GET http://t1:9100/metrics", dying.received)
        self.net.cut([dying.transport])
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 0.0)
        self.assertEqual(proxy.metric("pushprox_proxy_requeued_scrapes_total"), 1)

    def test_cleanlyBeforeTheReceipt(self) -> None:
        """
        Where it is closed in order instead, as some load balancers do after each
        reply, somebody else gets it when the receipt is overdue.
        """
        self.startProxy()
        self.startClient()
        self.startExporter()
        self.net.pass_(1)
        dying = self.net.talk("10.0.0.1", 8080, POLL)
        reply = self.scrape()
        dying.transport.loseConnection()
        self.net.pass_(3)
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 2.0)

    def test_alone(self) -> None:
        """
        Without anybody else the scrape waits for a poll, and ends before the
        scraper's deadline.
        """
        self.startProxy()
        dying = self.net.talk("10.0.0.1", 8080, POLL)
        reply = self.scrape(timeout="10")
        self.net.cut([dying.transport])
        self.net.pass_(10)
        self.assertTrue(reply.said.startswith("504 "), reply.said)
        self.assertEqual(reply.took, 9.5)

    def test_inTheMiddleOfThePush(self) -> None:
        """
        A push that breaks off half-way is never a whole 200 for the scraper.
        """
        self.startProxy()
        client = self.startClient()
        body = METRICS * 10000
        self.startExporter().answer = (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.net.pass_(1)
        reply: list[Reply] = []
        # From now on the bytes need so long that there is a middle.
        self.net.latency = 0.1
        reply.append(self.scrape(timeout="10"))
        self.net.pass_(0.35)
        client.crash()
        self.net.pass_(10)
        self.assertFalse(reply[0].said.startswith("200"), reply[0].said)
        self.assertTrue(reply[0].status == 0 or reply[0].status >= 500)


class DeadLineTests(Journey):
    """
    Lines that are dead, and look open.
    """

    def deadGoLine(self) -> None:
        """
        Somebody polls, and then the line to him dies.
        """
        talker = self.net.talk("10.0.0.1", 8080, POLL)
        self.net.kill([talker.transport])

    def test_newerThanTheLiveOne(self) -> None:
        """
        What a dead line swallowed is answered through the older live one, well
        before the deadline.
        """
        self.startProxy()
        self.startExporter()
        alive = GoClient(self.net, "10.1.0.1")
        self.others.append(alive.stop)
        alive.poll()
        self.net.pass_(1)
        self.deadGoLine()
        reply = self.scrape(timeout="10")
        self.assertEqual(alive.instructions, [])
        self.net.pass_(4)
        self.assertMetrics(reply)
        self.assertLess(reply.took, 4.0)

    def test_twoAtOnce(self) -> None:
        """
        Of two scrapes at once, one of them in a dead line, both are answered,
        each once.
        """
        self.startProxy()
        alive = GoClient(self.net, "10.1.0.1")
        self.others.append(alive.stop)
        alive.poll()
        self.net.pass_(1)
        self.deadGoLine()
        replies = [self.scrape(timeout="10"), self.scrape(timeout="10")]
        self.net.pass_(9)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertEqual(len(alive.pushes), 2)

    def test_comingBackIsNoReceipt(self) -> None:
        """
        A Go client that polls anew because its line was cut does not confirm
        what a dead line of the same name swallowed.
        """
        self.startProxy()
        alive = GoClient(self.net, "10.1.0.1")
        self.others.append(alive.stop)
        alive.poll()
        self.net.pass_(1)
        self.deadGoLine()
        reply = self.scrape(timeout="10")
        self.net.cut(alive.machine.ends)
        self.net.pass_(9)
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 2.0)

    def test_slowTargetBesideIt(self) -> None:
        """
        A target that takes 5 s is scraped once, though a dead line had the
        scrape first, and another scrape came meanwhile.
        """
        self.startProxy()
        self.startClient()
        exporter = self.startExporter()
        exporter.delay = 5.0
        self.net.pass_(1)
        replies = [self.scrape(timeout="15")]
        self.net.pass_(2)
        self.deadGoLine()
        replies.append(self.scrape(timeout="15"))
        self.net.pass_(14)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertEqual(len(exporter.requests), 2)

    def test_holderGoneSilently(self) -> None:
        """
        A client whose machine lost its power is succeeded by the one that
        stands by: the scrape it swallowed is answered, and all that follow are
        answered without delay.
        """
        self.startProxy()
        holder = self.startClient()
        exporter = self.startExporter()
        self.net.pass_(1)
        self.assertMetrics(self.scrape())
        self.startClient(address="10.1.0.9")
        self.net.pass_(1)
        self.net.kill(holder.machine.ends)
        holder.crash()
        reply = self.scrape(timeout="10")
        self.net.pass_(4)
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 2.0)
        for reply in self.scrapes(5, 5):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        self.assertEqual(exporter.askers, ["10.1.0.1"] + 6 * ["10.1.0.9"])

    def test_oursComesBack(self) -> None:
        """
        A client whose only line died gives its poll up 10 s after it should have
        had an answer, and a scrape that waited is answered then.
        """
        self.startProxy()
        client = self.startClient()
        self.startExporter()
        self.net.pass_(3)
        self.assertMetrics(self.scrape())
        self.net.kill(self.linesOf(client))
        self.net.pass_(30)
        reply = self.scrape(timeout="10")
        self.net.pass_(10)
        self.assertMetrics(reply)
        for reply in self.scrapes(5, 10):
            self.assertMetrics(reply)

    def test_deadBeforeTheProxyKnows(self) -> None:
        """
        A scrape that goes into the dead line of a client is queued again, and
        given to it when it comes back.
        """
        self.startProxy()
        client = self.startClient()
        self.startExporter()
        self.net.pass_(3)
        self.net.pass_(20)
        self.net.kill(self.linesOf(client))
        reply = self.scrape(timeout="60")
        self.net.pass_(60)
        self.assertMetrics(reply)
        self.assertLess(reply.took, 36.0)


class ProxyRestartTests(Journey):
    """
    Proxies that are killed and started again.
    """

    def test_clientFirst(self) -> None:
        """
        A client that was started before its proxy finds it.
        """
        client = self.startClient()
        self.startExporter()
        self.net.pass_(60)
        self.assertEqual(client.metric("pushprox_client_connected"), 0)
        self.startProxy(settled=False)
        reply = self.scrape()
        self.net.pass_(10)
        self.assertMetrics(reply)
        self.assertEqual(client.metric("pushprox_client_connected"), 1)

    def test_acceptedDuringWarmUp(self) -> None:
        """
        What a proxy accepts right after its start is answered when the client is
        back.
        """
        proxy = self.startProxy()
        self.startClient()
        self.startExporter()
        self.net.pass_(20)
        proxy.crash()
        self.net.pass_(3)
        self.startProxy(settled=False)
        reply = self.scrape()
        self.net.pass_(10)
        self.assertMetrics(reply)

    def test_unknownDuringWarmUp(self) -> None:
        """
        A name that nobody comes back for is a 503 at the deadline.
        """
        self.startProxy(settled=False)
        reply = self.scrape(timeout="10")
        self.net.pass_(10)
        self.assertEqual(reply.said, "503 No PushProx client named t1")
        self.assertEqual(reply.took, 9.5)

    def test_everyFifteenSeconds(self) -> None:
        """
        With a proxy that is killed every 15 s, every scrape succeeds that it
        accepted and did not hold when it was killed.
        """
        self.net.latency = 0.01
        self.startClient()
        self.startExporter()
        for _ in range(8):
            proxy = self.startProxy(settled=False)
            replies = self.scrapes(14, 1.0)
            held = [reply for reply in replies if reply.answered is None]
            proxy.crash()
            lost = [reply for reply in held if reply.broken is None]
            self.assertEqual(lost, [])
            for reply in replies:
                if reply not in held:
                    self.assertMetrics(reply)
            # A scrape that came 9 s before could have been answered.
            self.assertTrue(all(reply not in held for reply in replies[:6]))
            self.net.pass_(1.0)


class LoadBalancerTests(Journey):
    """
    Load balancers between the client and the proxy, at some distance.
    """

    def setUp(self) -> None:
        """
        All but the client, which has to know where to go.
        """
        super().setUp()
        self.net.latency = 0.02
        self.proxy = self.startProxy()
        self.exporter = self.startExporter()

    def balance(self, net: Internet, **how: float) -> LoadBalancer:
        """
        Put a load balancer there, and a client behind it.
        """
        balancer = LoadBalancer(net, **how)
        self.client = self.startClient(url="http://gateway:8080/")
        self.net.pass_(3)
        return balancer

    def assertHour(self, interval: float) -> None:
        """
        An hour of scrapes without one that failed.
        """
        for reply in self.scrapes(int(3600 / interval), interval):
            self.assertMetrics(reply)
            self.assertLess(reply.took, 3.0)

    def test_cutsAfterAMinute(self) -> None:
        """
        Where idle connections are cut after 60 s, no scrape is lost in an hour.
        """
        self.balance(self.net, idle=60.0)
        self.assertHour(15)

    def test_cutsAfterTwentySeconds(self) -> None:
        """
        Where they are cut after 20 s, none is lost either.
        """
        self.balance(self.net, idle=20.0)
        self.assertHour(15)

    def test_closesJustThen(self) -> None:
        """
        Where a connection is closed just as the next poll is in it, that is
        sent again over another, at once.
        """
        self.balance(self.net, closesAfterReply=0.06)
        for reply in self.scrapes(50, 5):
            self.assertMetrics(reply)
            self.assertLess(reply.took, 1.0)
        self.assertEqual(self.client.metric("pushprox_client_poll_errors_total"), 0)
        self.assertEqual(self.client.metric("pushprox_client_push_errors_total"), 0)

    def test_cutsPolls(self) -> None:
        """
        Where polls themselves are cut, none is lost, and the client learns to
        ask for shorter ones.
        """
        balancer = self.balance(self.net, idle=20.0)
        self.assertHour(45)
        before = self.client.metric("pushprox_client_poll_errors_total")
        self.assertLessEqual(before, 4)
        self.assertGreater(balancer.cuts, 0)

    def test_closesAfterEachReply(self) -> None:
        """
        Where each reply is the last on its connection, all is well.
        """
        self.balance(self.net, closesAfterReply=0.0)
        for reply in self.scrapes(50, 5):
            self.assertMetrics(reply)
            self.assertLess(reply.took, 1.0)
        self.assertEqual(self.proxy.metric("pushprox_proxy_requeued_scrapes_total"), 0)
        self.assertEqual(self.client.metric("pushprox_client_push_errors_total"), 0)

    def test_errorPages(self) -> None:
        """
        A client outlives pages of HTML in place of its proxy, whatever their
        status, and does not flood who sends them.
        """
        balancer = self.balance(self.net)
        page = b"<html><h1>Sorry</h1></html>"
        for status in (b"502 Bad Gateway", b"200 OK", b"404 Not Found", b"302 Found"):
            balancer.page = (
                b"HTTP/1.1 %b\r\nLocation: /login\r\nContent-Type: text/html\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (status, len(page), page)
            )
            self.net.cut(self.linesOf(self.client))
            errors = self.client.metric("pushprox_client_poll_errors_total")
            self.net.pass_(60)
            errors = self.client.metric("pushprox_client_poll_errors_total") - errors
            self.assertTrue(10 < errors < 25, errors)
            balancer.page = None
            self.net.pass_(6)
            self.assertMetrics(self.scrapes(1, 1)[0])
