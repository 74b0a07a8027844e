"""
Tests for L{pushprox.proxy.resources}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pushprox import __version__
from pushprox.proxy.coordinator import Rules
from tests.rigs import SIGNED, ProxyRig, closing, heard, idIn, pushBytes, rejected


def page(path: bytes, method: bytes = b"GET") -> bytes:
    """
    A request for one of the proxy's own pages.
    """
    return b"%b %b HTTP/1.1\r\nHost: p\r\n\r\n" % (method, path)


def text(status: bytes, body: bytes) -> bytes:
    """
    A reply of one line.
    """
    return (
        b"HTTP/1.1 %b\r\n%bContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (status, SIGNED, len(body), body)
    )


def refusal(status: bytes, body: bytes) -> bytes:
    """
    What a request is answered that cannot be served.
    """
    return (
        b"HTTP/1.1 %b\r\n%bContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b"
        % (status, SIGNED, len(body), body)
    )


class RootTests(SynchronousTestCase):
    """
    Which page a request is for.
    """

    def setUp(self) -> None:
        """
        Start a proxy that knows no client.
        """
        self.rig = ProxyRig(self)

    def test_notHere(self) -> None:
        """
        What is not there is a 404 by any method, in the words of the
        reference, and paths are compared whole.
        """
        for path in (
            b"/nope",
            b"/clients/",
            b"//clients",
            b"/metrics/x",
            b"/poll/",
            b"/-",
            b"/-/",
            b"/-/ready/",
            b"/robots.txt",
        ):
            for method in (b"GET", b"POST", b"PURGE"):
                self.assertEqual(
                    self.rig.ask(page(path, method)),
                    refusal(b"404 Not Found", b"404 page not found\n"),
                )

    def test_bodyNowhere(self) -> None:
        """
        What is not there has no use for a body: it is neither asked for nor kept.
        """
        for more in (b"", b"Expect: 100-continue\r\n"):
            talker = self.rig.talk(
                b"POST /nope HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n%b\r\n" % more
            )
            answer = refusal(b"404 Not Found", b"404 page not found\n")
            self.assertEqual(heard(talker), closing(answer) if more else answer)
            self.rig.hangUp(talker)

    def test_query(self) -> None:
        """
        A query is no part of the path.
        """
        self.assertEqual(
            self.rig.ask(page(b"/-/healthy?x=/y")),
            text(b"200 OK", b"PushProx proxy is healthy.\n"),
        )

    def test_host(self) -> None:
        """
        A request of HTTP/1.1 has exactly one Host header, a scrape too.
        """
        self.rig.poll()
        for line in (b"GET /clients", b"GET http://t1/", b"CONNECT t1:1"):
            for hosts in (b"", b"Host: a\r\nHost: b\r\n"):
                self.assertEqual(
                    self.rig.ask(line + b" HTTP/1.1\r\n" + hosts + b"\r\n"),
                    rejected(b"400 Expected one Host header"),
                )
        self.assertTrue(
            self.rig.ask(
                b"GET /clients HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"
            ).startswith(b"HTTP/1.1 400 ")
        )

    def test_noRequest(self) -> None:
        """
        What is no request of HTTP/1 is refused, and the end of the connection.
        """
        for line, status in (
            (b"FOO", b"400 Bad Request"),
            (b"FOO / HTTP/1.1\r\nHost: p", b"400 Bad Request"),
            (b"GET /", b"505 HTTP Version Not Supported"),
            (b"GET / HTTP/2.0", b"505 HTTP Version Not Supported"),
            (b"GET / HTTP/0.9", b"505 HTTP Version Not Supported"),
        ):
            talker = self.rig.talk(line + b"\r\n\r\n")
            self.assertEqual(heard(talker), rejected(status))
            self.assertIsNotNone(talker.lost)
        refused = "pushprox_http_refused_requests_total"
        self.assertEqual(self.rig.metric(refused, code="400"), 2)
        self.assertEqual(self.rig.metric(refused, code="505"), 3)

    def test_landing(self) -> None:
        """
        A person who looks at the proxy finds its pages.
        """
        head, _, body = self.rig.ask(page(b"/")).partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n" + SIGNED))
        self.assertIn(b"Content-Type: text/html; charset=utf-8", head)
        self.assertIn(b"Version " + __version__.encode("ascii"), body)
        for path in (b"clients", b"metrics", b"-/healthy", b"-/ready"):
            self.assertIn(b'<a href="' + path + b'">', body)
            self.assertTrue(
                self.rig.ask(page(b"/" + path)).startswith(b"HTTP/1.1 200 OK\r\n")
            )

    def test_health(self) -> None:
        """
        The proxy is healthy while it runs, and ready until it stops.
        """
        for path, line in (
            (b"/-/healthy", b"PushProx proxy is healthy.\n"),
            (b"/-/ready", b"PushProx proxy is ready.\n"),
        ):
            self.assertEqual(self.rig.ask(page(path)), text(b"200 OK", line))
            self.assertEqual(
                self.rig.ask(page(path, b"HEAD")),
                text(b"200 OK", line).removesuffix(line),
            )
            self.assertIn(
                b"HTTP/1.1 405 Method Not Allowed\r\n",
                self.rig.ask(page(path, b"POST")),
            )

    def test_notReady(self) -> None:
        """
        A proxy that stops is not ready any more, but healthy.
        """
        rig = self.rig
        rig.poll()
        scraping = rig.scrape()
        stopped = rig.stop()
        self.assertEqual(
            rig.ask(page(b"/-/ready")),
            text(b"503 Service Unavailable", b"PushProx proxy is stopping.\n"),
        )
        self.assertIn(b"HTTP/1.1 200 OK\r\n", rig.ask(page(b"/-/healthy")))
        rig.hangUp(scraping)
        self.successResultOf(stopped)

    def test_metrics(self) -> None:
        """
        The metrics are there to be scraped.
        """
        head, _, body = self.rig.ask(page(b"/metrics")).partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: text/plain; version=0.0.4; charset=utf-8", head)
        self.assertIn(b"\npushprox_proxy_clients 0.0\n", body)


class ClientsTests(SynchronousTestCase):
    """
    Tests for C{/clients}.
    """

    def clients(self, rig: ProxyRig) -> object:
        """
        What Prometheus's service discovery reads.
        """
        head, _, body = rig.ask(page(b"/clients")).partition(b"\r\n\r\n")
        self.assertEqual(
            head,
            (
                b"HTTP/1.1 200 OK\r\n" + SIGNED + b"Content-Type: application/json\r\n"
                b"Content-Length: %d" % len(body)
            ),
        )
        return json.loads(body)

    def group(self, name: str, connected: str, contested: str) -> object:
        """
        What there is to read of one client.
        """
        return {
            "targets": [name],
            "labels": {
                "__meta_pushprox_connected": connected,
                "__meta_pushprox_contested": contested,
            },
        }

    def test_none(self) -> None:
        """
        Without clients there is an empty list.
        """
        self.assertTrue(ProxyRig(self).ask(page(b"/clients")).endswith(b"\r\n\r\n[]\n"))

    def test_known(self) -> None:
        """
        The known clients are listed by name, with labels that tell which are
        connected and which contested, until they are forgotten.
        """
        rig = ProxyRig(self, Rules(warmup=0.0, registrationTimeout=60.0))
        rig.hangUp(rig.poll(b"T3."))
        rig.net.pass_(30)
        for name, instance in ((b"t2", b"a"), (b"t10", b"b"), (b"t2", b"c")):
            rig.poll(name, b"Pushprox-Instance: " + instance + b"\r\n")
        connected = [
            self.group("t10", "true", "false"),
            self.group("t2", "true", "true"),
        ]
        self.assertEqual(
            self.clients(rig), [*connected, self.group("t3", "false", "false")]
        )
        rig.net.pass_(30)
        self.assertEqual(self.clients(rig), connected)

    def test_head(self) -> None:
        """
        HEAD tells the length of the list.
        """
        rig = ProxyRig(self)
        self.assertEqual(
            rig.ask(page(b"/clients", b"HEAD")),
            b"HTTP/1.1 200 OK\r\n" + SIGNED + b"Content-Type: application/json\r\n"
            b"Content-Length: 3\r\n\r\n",
        )

    def test_old(self) -> None:
        """
        The list is there for HTTP/1.0, too, which needs no Host.
        """
        rig = ProxyRig(self)
        talker = rig.talk(b"GET /clients HTTP/1.0\r\n\r\n")
        self.assertEqual(
            heard(talker),
            b"HTTP/1.0 200 OK\r\n" + SIGNED + b"Content-Type: application/json\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\n[]\n",
        )
        self.assertIsNotNone(talker.lost)

    def test_otherMethods(self) -> None:
        """
        The list can only be read.
        """
        reply = ProxyRig(self).ask(page(b"/clients", b"DELETE"))
        self.assertTrue(reply.startswith(b"HTTP/1.1 501 "), reply)
        reply = ProxyRig(self).ask(
            b"POST /clients HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertTrue(reply.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n"))
        self.assertIn(b"\r\nAllow: HEAD, GET\r\n", reply)

    def settling(self, rig: ProxyRig, seconds: bytes) -> None:
        """
        Check that Prometheus is told to keep its last list.
        """
        body = (
            b"The proxy has just started and its clients are still coming back:"
            b" ask again in " + seconds + b" s\n"
        )
        self.assertEqual(
            rig.ask(page(b"/clients")),
            b"HTTP/1.1 503 Service Unavailable\r\n"
            + SIGNED
            + b"Retry-After: %b\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b"
            % (seconds, len(body), body),
        )

    def test_settling(self) -> None:
        """
        A proxy that just started tells no list yet: not in its first 10 s,
        and not during its warm-up if no client came.
        """
        rig = ProxyRig(self, Rules(warmup=30.0))
        self.settling(rig, b"30")
        rig.net.pass_(8)
        self.settling(rig, b"22")
        rig.poll(b"t1")
        self.settling(rig, b"2")
        rig.net.pass_(2)
        self.assertEqual(self.clients(rig), [self.group("t1", "true", "false")])

    def test_settled(self) -> None:
        """
        A proxy to which no client came during its warm-up says so.
        """
        rig = ProxyRig(self, Rules(warmup=5.0))
        rig.net.pass_(4)
        self.settling(rig, b"1")
        rig.net.pass_(1)
        self.assertEqual(self.clients(rig), [])

    def test_shortWarmup(self) -> None:
        """
        A warm-up shorter than 10 s is all the settling there is.
        """
        rig = ProxyRig(self, Rules(warmup=5.0))
        rig.poll(b"t1")
        rig.net.pass_(5)
        self.assertEqual(self.clients(rig), [self.group("t1", "true", "false")])


class CountedTests(SynchronousTestCase):
    """
    How requests are counted.
    """

    def setUp(self) -> None:
        """
        Start a proxy.
        """
        self.rig = ProxyRig(self)

    def count(self, path: str, code: str) -> float | None:
        """
        How many requests for a page were answered so.
        """
        return self.rig.metric("pushprox_http_requests_total", path=path, code=code)

    def test_pages(self) -> None:
        """
        Requests are counted by page and status, with the time they took; what
        is no page of the reference's is not.
        """
        rig = self.rig
        polling = rig.poll()
        rig.net.pass_(3)
        rig.scrape()
        rig.push(b"HTTP/1.1 200 OK\r\nId: " + idIn(heard(polling)) + b"\r\n\r\n")
        rig.push(b"garbage")
        rig.ask(page(b"/poll"))
        rig.ask(page(b"/clients"))
        rig.ask(page(b"/clients/"))
        rig.ask(page(b"/metrics"))
        for path, code in (
            ("/poll", "200"),
            ("/poll", "405"),
            ("/push", "200"),
            ("/push", "400"),
            ("/clients", "200"),
            ("/metrics", "200"),
        ):
            self.assertEqual(self.count(path, code), 1)
        self.assertIsNone(self.count("/clients", "404"))
        took = "pushprox_http_duration_seconds"
        self.assertEqual(rig.metric(f"{took}_sum", path="/poll"), 3.0)
        self.assertEqual(rig.metric(f"{took}_count", path="/push"), 2)

    def test_hangUp(self) -> None:
        """
        Who hangs up before the reply is counted as a 499, in scrapes and in
        polls.
        """
        polling = self.rig.poll()
        scraping = self.rig.scrape()
        self.rig.net.pass_(2)
        self.rig.hangUp(scraping)
        heard(polling)
        self.rig.hangUp(self.rig.poll())
        self.assertEqual(self.count("/poll", "499"), 1)
        self.assertEqual(
            self.rig.metric("pushproxy_proxied_requests_total", code="499"), 1
        )

    def test_scrapes(self) -> None:
        """
        Scrapes are counted by status, and under no path.
        """
        rig = self.rig
        rig.scrape(b"http://t2/")
        polling = rig.poll()
        scraping = rig.scrape()
        rig.talk(
            pushBytes(b"HTTP/1.1 418 T\r\nId: " + idIn(heard(polling)) + b"\r\n\r\n")
        )
        self.assertIn(b"418 T", heard(scraping))
        for code in ("418", "503"):
            self.assertEqual(
                rig.metric("pushproxy_proxied_requests_total", code=code), 1
            )
