"""
Journeys of the programs themselves: under load, behind web proxies, and on
their way down.
"""

from __future__ import annotations

import attrs
import trustme
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from pushprox.client.polling import Pace
from pushprox.client.trust import tlsPolicy
from pushprox.proxy.coordinator import Rules
from tests.bystanders import WebProxyServer
from tests.internet import Machine
from tests.journeys import Journey


class LoadTests(Journey):
    """
    Many scrapes at once.
    """

    def setUp(self) -> None:
        """
        All is up, at some distance.
        """
        super().setUp()
        self.net.latency = 0.05
        self.proxy = self.startProxy()
        self.exporter = self.startExporter()
        self.exporter.delay = 0.5

    def test_burst(self) -> None:
        """
        Fifty scrapes at once are all answered; the client opens more polls for
        that, and goes back to one.
        """
        client = self.startClient()
        self.net.pass_(3)
        self.assertMetrics(self.scrapes(1, 1)[0])
        self.assertEqual(client.metric("pushprox_client_polls"), 1)
        replies = [self.scrape() for _ in range(50)]
        most = 0.0
        for _ in range(50):
            self.net.pass_(0.1)
            most = max(most, client.metric("pushprox_client_polls"))
        for reply in replies:
            self.assertMetrics(reply)
        self.assertEqual(most, 4)
        self.net.pass_(30)
        self.assertEqual(client.metric("pushprox_client_polls"), 1)
        self.assertEqual(self.proxy.metric("pushprox_proxy_parked_polls"), 1)
        self.assertEqual(len(self.exporter.requests), 51)

    def test_concurrency(self) -> None:
        """
        At the client's limit of scrapes the others wait their turn.
        """
        self.startClient(concurrency=10)
        self.net.pass_(3)
        most, visits = 0, 0
        replies = [self.scrape() for _ in range(50)]
        for _ in range(50):
            self.net.pass_(0.1)
            before, visits = visits, len(self.exporter.requests)
            most = max(most, visits - before)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertLessEqual(most, 10)
        self.assertEqual(self.proxy.metric("pushprox_proxy_requeued_scrapes_total"), 0)

    def test_tooMuch(self) -> None:
        """
        What does not come to its turn in time is told so before the deadline.
        """
        self.exporter.answer = None
        self.startClient(concurrency=1)
        self.net.pass_(3)
        replies = [self.scrape(timeout="5") for _ in range(3)]
        self.net.pass_(5)
        for reply in replies:
            self.assertTrue(reply.said.startswith("504 "), reply.said)
            self.assertLess(reply.took, 5.0)

    def test_onePoll(self) -> None:
        """
        With --polls=1 there is never a second one, and all is answered.
        """
        client = self.startClient(pace=Pace(polls=1))
        self.net.pass_(3)
        replies = [self.scrape() for _ in range(50)]
        for _ in range(80):
            self.net.pass_(0.1)
            self.assertLessEqual(client.metric("pushprox_client_polls"), 1)
        for reply in replies:
            self.assertMetrics(reply)

    def test_fewPollsAllowed(self) -> None:
        """
        The client keeps to the number of polls that the proxy allows.
        """
        self.successResultOf(self.stopAndWait(self.proxy))
        self.startProxy(Rules(pollsPerInstance=2))
        client = self.startClient()
        self.net.pass_(3)
        replies = [self.scrape() for _ in range(50)]
        for _ in range(80):
            self.net.pass_(0.1)
            self.assertLessEqual(client.metric("pushprox_client_polls"), 2)
        for reply in replies:
            self.assertMetrics(reply)


class WebProxyTests(Journey):
    """
    Clients behind a web proxy.
    """

    environment = {
        "HTTP_PROXY": "http://me:s3cret@gateway:8080",
        "HTTPS_PROXY": "http://me:s3cret@gateway:8080",
    }

    def test_absoluteForm(self) -> None:
        """
        Polls and pushes for an http proxy go through it in absolute form, with
        its credentials; scrapes never do.
        """
        self.startProxy()
        webProxy = WebProxyServer(self.net)
        self.startClient(environment=self.environment)
        exporter = self.startExporter()
        self.net.pass_(3)
        for reply in self.scrapes(20, 15):
            self.assertMetrics(reply)
        for head in webProxy.heads:
            self.assertTrue(head.startswith(b"POST http://proxy:8080/"), head)
            self.assertIn(b"\r\nProxy-Authorization: Basic bWU6czNjcmV0", head)
        self.assertGreaterEqual(len(webProxy.heads), 40)
        self.assertEqual(set(exporter.askers), {"10.1.0.1"})
        self.assertNotIn(b"roxy-", exporter.requests[0])

    def test_connect(self) -> None:
        """
        For an https proxy they go through a tunnel, which carries TLS.
        """
        authority = trustme.CA()
        leaf = authority.issue_cert("proxy")
        caFile = self.mktemp()
        authority.cert_pem.write_to_path(caFile)
        self.startProxy(more=[lambda machine: OverTLS(machine, leaf)])
        webProxy = WebProxyServer(self.net)
        self.startClient(
            url="https://proxy:8443/",
            trust=tlsPolicy(caFile, None, None),
            environment=self.environment,
        )
        exporter = self.startExporter()
        self.net.pass_(3)
        for reply in self.scrapes(20, 15):
            self.assertMetrics(reply)
        for head in webProxy.heads:
            self.assertTrue(head.startswith(b"CONNECT proxy:8443 HTTP/1.1\r\n"), head)
            self.assertIn(b"\r\nProxy-Authorization: Basic bWU6czNjcmV0", head)
        self.assertLess(len(webProxy.heads), 5)
        self.assertEqual(set(exporter.askers), {"10.1.0.1"})

    def test_webProxyAway(self) -> None:
        """
        While the web proxy is away the client waits, and it is back soon after.
        """
        self.startProxy()
        client = self.startClient(environment=self.environment)
        self.startExporter()
        self.net.pass_(60)
        self.assertEqual(client.metric("pushprox_client_connected"), 0)
        WebProxyServer(self.net)
        self.net.pass_(6)
        self.assertMetrics(self.scrapes(1, 1)[0])


@implementer(IStreamServerEndpoint)
@attrs.frozen
class OverTLS:
    """
    An endpoint at port 8443 that speaks TLS.
    """

    machine: Machine
    leaf: trustme.LeafCert

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen, and wrap what comes.
        """
        chain = self.leaf.private_key_and_cert_chain_pem.bytes()
        certificate = PrivateCertificate.loadPEM(chain)
        options: CertificateOptions = certificate.options()
        factory = TLSMemoryBIOFactory(
            options, False, protocolFactory, clock=self.machine
        )
        return serverFromString(self.machine, "tcp:8443").listen(factory)


class StoppingTests(Journey):
    """
    Programs that are told to stop.
    """

    def setUp(self) -> None:
        """
        All is up, and the target is slow.
        """
        super().setUp()
        self.proxy = self.startProxy()
        self.client = self.startClient()
        self.exporter = self.startExporter()
        self.exporter.delay = 3.0
        self.net.pass_(1)

    def test_proxyFinishes(self) -> None:
        """
        A proxy that is stopped answers the scrapes in flight first.
        """
        reply = self.scrape()
        stopped = self.proxy.stop()
        self.net.pass_(2)
        self.assertNoResult(stopped)
        self.net.pass_(2)
        self.assertMetrics(reply)
        self.successResultOf(stopped)

    def test_proxyFinishesWhatIsQueued(self) -> None:
        """
        It answers those too that no poll had taken yet.
        """
        self.client.crash()
        self.net.pass_(1)
        reply = self.scrape()
        stopped = self.proxy.stop()
        self.startClient()
        self.net.pass_(8)
        self.assertMetrics(reply)
        self.net.pass_(6)
        self.successResultOf(stopped)

    def test_proxyIdle(self) -> None:
        """
        Without a scrape in flight it stops at once; the client waits, and is
        back after the next start.
        """
        self.exporter.delay = 0.0
        self.successResultOf(self.stopAndWait(self.proxy, 0))
        self.net.pass_(20)
        self.startProxy(settled=False)
        reply = self.scrape()
        self.net.pass_(6)
        self.assertMetrics(reply)

    def test_clientFinishes(self) -> None:
        """
        A client that is stopped pushes what it has in hand, and takes nothing
        new.
        """
        reply = self.scrape()
        stopped = self.client.stop()
        self.net.pass_(1)
        late = self.scrape()
        self.assertNoResult(stopped)
        self.net.pass_(3)
        self.assertMetrics(reply)
        self.successResultOf(stopped)
        self.assertEqual(self.client.machine.getDelayedCalls(), [])
        self.assertEqual(self.client.machine.ends, [])
        self.net.pass_(10)
        self.assertTrue(late.said.startswith("504 No poll from t1 for "), late.said)
        self.assertEqual(len(self.exporter.requests), 1)

    def test_clientWithADeadTarget(self) -> None:
        """
        It does not wait longer than its deadline for a target that says
        nothing.
        """
        self.exporter.answer = None
        reply = self.scrape(timeout="10")
        stopped = self.client.stop()
        self.net.pass_(10)
        self.assertTrue(reply.said.startswith("504 Target did not answer"), reply.said)
        self.successResultOf(stopped)
