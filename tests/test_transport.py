"""
Tests for L{pushprox.client.transport}: every way out, up to what arrives.
"""

from __future__ import annotations

from treq.client import HTTPClient
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface.verify import verifyObject

from pushprox.client.lines import Lines
from pushprox.client.location import ProxyLocation
from pushprox.client.tunnel import TunnelRefused
from pushprox.client.webproxy import WebProxyError
from tests.servers import (
    SECRET,
    Server,
    ServersTestCase,
    WebProxyServer,
    serverOptions,
)


class DirectTests(ServersTestCase):
    """
    The way without a web proxy.
    """

    def test_plain(self) -> None:
        """
        An http location is spoken to on its port, in origin-form.
        """
        server = Server()
        self.listen(8080, server)
        d = self.fetched("http://proxy:8080/x/poll")
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(server.heads[0][0], b"GET /x/poll HTTP/1.1")
        self.assertIn(b"Host: proxy:8080", server.heads[0])
        self.assertQuiet()

    def test_serverName(self) -> None:
        """
        Where the proxy is said to be somebody else than its URL's host, it is
        asked for by that name, and must prove that one and not the other.
        """
        asked: list[bytes | None] = []
        options = serverOptions(self.leaf)
        context = options.getContext()
        context.set_tlsext_servername_callback(
            lambda connection: asked.append(connection.get_servername())
        )
        server = Server()
        self.listen(8443, server, options)
        for host, name, isRight in (
            ("10.0.0.1", "proxy.example", True),
            ("elsewhere.example", "proxy.example", True),
            ("elsewhere.example", "192.0.2.1", True),
            ("proxy.example", "elsewhere.example", False),
        ):
            d = self.fetched(f"https://{host}:8443/", serverName=name)
            if isRight:
                self.assertEqual(self.successResultOf(d), b"ok")
                self.assertIn(f"Host: {host}:8443".encode(), server.heads[-1])
            else:
                self.assertIn("VerificationError", self.refusal(d))
        self.assertEqual(
            asked, [b"proxy.example", b"proxy.example", None, b"elsewhere.example"]
        )
        self.assertEqual(len(server.heads), 3)

    def test_interfaces(self) -> None:
        """
        What is handed out is what Twisted Web asks for.
        """
        verifyObject(IPolicyForHTTPS, self.policy)
        for url in ("http://proxy/", "https://proxy/"):
            for web in ("", "web", "user@web"):
                agent = self.agent(url, {"HTTP_PROXY": web, "HTTPS_PROXY": web})
                verifyObject(IAgent, agent)
                verifyObject(IStreamClientEndpoint, agent.endpoint)

    def test_resting(self) -> None:
        """
        A connection that rests serves the next request too.
        """
        server = Server()
        self.listen(8443, server, serverOptions(self.leaf))
        lines = Lines(self.reactor, maxIdle=1)
        agent = self.agent("https://proxy.example:8443/", lines=lines)
        for _ in range(2):
            d = self.get(agent, "https://proxy.example:8443/poll")
            self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(len(server.connections), 1)
        self.assertEqual(len(server.heads), 2)
        lines.closeResting()
        self.settle()
        self.assertEqual(server.connections, [])
        self.assertQuiet()

    def test_connectTimeout(self) -> None:
        """
        An attempt to connect is given up after the timeout, by the clock.
        """
        self.fetched("http://proxy:8080/")
        self.assertEqual(self.reactor.tcpClients[0][3], 10.0)

    def test_treq(self) -> None:
        """
        treq reaches an IPv6 address, and a name with an underscore, with the URL
        that the location makes.
        """
        for number, (host, leaf) in enumerate(
            {"[2001:db8::1]": self.leaf, "push_proxy": self.underscored()}.items()
        ):
            server, port = Server(), 8443 + number
            self.listen(port, server, serverOptions(leaf))
            text = f"https://{host}:{port}/x"
            client = HTTPClient(self.agent(text))
            url = ProxyLocation.fromText(text).requestURL("poll")
            d = client.get(url, reactor=self.reactor)
            self.settle()
            self.assertEqual(self.successResultOf(d).code, 200)
            self.assertEqual(server.heads[0][0], b"GET /x/poll HTTP/1.1")
            self.assertIn(f"Host: {host}:{port}".encode(), server.heads[0])
        self.assertQuiet()

    def test_underscore(self) -> None:
        """
        Names of containers may have an underscore, the proxy's and that of a
        web proxy.
        """
        server = Server()
        self.listen(8080, server)
        url = "http://push_proxy:8080/"
        for environment in ({}, {"HTTP_PROXY": "squid_proxy:8080"}):
            d = self.fetched(url, environment=environment)
            self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(
            [head[0] for head in server.heads],
            [b"GET / HTTP/1.1", b"GET http://push_proxy:8080/ HTTP/1.1"],
        )


class AbsoluteFormTests(ServersTestCase):
    """
    The way to an http proxy through a web proxy.
    """

    def test_request(self) -> None:
        """
        The web proxy gets the whole URL, our credentials and the headers.
        """
        server = Server()
        self.listen(3128, server)
        agent = self.agent(
            "http://proxy:8080/x", {"HTTP_PROXY": f"http://user:{SECRET}@web:3128"}
        )
        headers = Headers({b"X-One": [b"1"]})
        d = self.get(agent, "http://proxy:8080/x/poll", headers)
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(server.heads[0][0], b"GET http://proxy:8080/x/poll HTTP/1.1")
        for line in (
            b"Host: proxy:8080",
            b"Proxy-Authorization: Basic dXNlcjpzM2tyMXQ=",
            b"X-One: 1",
        ):
            self.assertIn(line, server.heads[0])
        self.assertEqual(list(headers.getAllRawHeaders()), [(b"X-One", [b"1"])])
        self.assertNotIn("dXNl", repr(agent))
        self.assertQuiet()

    def test_withoutHeaders(self) -> None:
        """
        A request without headers of its own is introduced as well.
        """
        server = Server()
        self.listen(3128, server)
        d = self.fetched("http://proxy/", environment={"HTTP_PROXY": "user@web:3128"})
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertIn(b"Proxy-Authorization: Basic dXNlcjo=", server.heads[0])

    def test_withoutCredentials(self) -> None:
        """
        A web proxy that needs no credentials gets none.
        """
        server = Server()
        self.listen(3128, server)
        d = self.fetched("http://proxy/", environment={"HTTP_PROXY": "web:3128"})
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertNotIn(b"Proxy-Auth", b"\n".join(server.heads[0]))

    def test_resting(self) -> None:
        """
        A connection that rests serves the next request too.
        """
        server = Server()
        self.listen(3128, server)
        lines = Lines(self.reactor, maxIdle=1)
        agent = self.agent("http://proxy/", {"HTTP_PROXY": "web:3128"}, lines=lines)
        for _ in range(2):
            self.successResultOf(self.get(agent, "http://proxy/poll"))
        self.assertEqual((len(server.connections), len(server.heads)), (1, 2))

    def test_overTLS(self) -> None:
        """
        A web proxy with an https URL is spoken to over TLS, and verified.
        """
        server = Server()
        leaf = self.authority.issue_cert("web.example")
        self.listen(3128, server, serverOptions(leaf))
        for host in ("web.example", "other.example"):
            d = self.fetched(
                "http://proxy/", environment={"HTTP_PROXY": f"https://{host}:3128"}
            )
            if host == "web.example":
                self.assertEqual(self.successResultOf(d), b"ok")
            else:
                self.assertIn("VerificationError", self.refusal(d))
        self.assertEqual(len(server.heads), 1)

    def test_unreachable(self) -> None:
        """
        A web proxy that cannot be reached is named.
        """
        d = self.fetched("http://proxy/", environment={"HTTP_PROXY": "u:p@web:3128"})
        self.refuseConnection()
        self.assertEqual(
            str(self.failureResultOf(d, WebProxyError).value),
            "cannot reach web proxy http://web:3128:"
            " Connection was refused by other side.",
        )


class ConnectTests(ServersTestCase):
    """
    The way to an https proxy through a web proxy.
    """

    def setUp(self) -> None:
        """
        A web proxy before a proxy.
        """
        super().setUp()
        self.server = Server()
        self.web = WebProxyServer()
        self.web.destination = self.overTLS(self.server, serverOptions(self.leaf))

    def test_tunnel(self) -> None:
        """
        The web proxy is asked for the host and port, with our credentials, and
        sees nothing of what passes.
        """
        self.listen(3128, self.web)
        d = self.fetched(
            "https://proxy.example:8443/poll",
            environment={"HTTPS_PROXY": f"user:{SECRET}@web:3128"},
        )
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(
            self.web.heads,
            [
                [
                    b"CONNECT proxy.example:8443 HTTP/1.1",
                    b"Host: proxy.example:8443",
                    b"Proxy-Authorization: Basic dXNlcjpzM2tyMXQ=",
                ]
            ],
        )
        self.assertEqual(self.server.heads[0][0], b"GET /poll HTTP/1.1")
        self.assertNotIn(b"Proxy-Auth", b"\n".join(self.server.heads[0]))
        self.assertQuiet()

    def test_address(self) -> None:
        """
        An IPv6 address is asked for in brackets, with the default port, and
        verified without.
        """
        self.listen(3128, self.web)
        d = self.fetched(
            "https://[2001:db8::1]/", environment={"HTTPS_PROXY": "web:3128"}
        )
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(
            self.web.heads,
            [
                [
                    b"CONNECT [2001:db8::1]:443 HTTP/1.1",
                    b"Host: [2001:db8::1]:443",
                ]
            ],
        )

    def test_verified(self) -> None:
        """
        A web proxy that leads elsewhere is found out.
        """
        self.listen(3128, self.web)
        d = self.fetched(
            "https://other.example/", environment={"HTTPS_PROXY": "web:3128"}
        )
        self.assertIn("VerificationError", self.refusal(d))
        self.assertEqual(self.server.heads, [])

    def test_serverName(self) -> None:
        """
        The proxy must prove to be who it is said to be, whatever its URL and a
        web proxy say; the web proxy has to prove its own name.
        """
        leaf = self.authority.issue_cert("web.example")
        self.listen(3128, self.web, serverOptions(leaf))
        for host, web, isRight in (
            ("elsewhere.example", "web.example", True),
            ("elsewhere.example", "proxy.example", False),
            ("proxy.example", "proxy.example", False),
        ):
            d = self.fetched(
                f"https://{host}/",
                serverName="proxy.example",
                environment={"HTTPS_PROXY": f"https://{web}:3128"},
            )
            if isRight:
                self.assertEqual(self.successResultOf(d), b"ok")
            else:
                failure = self.failureResultOf(d, WebProxyError)
                self.assertIn("VerificationError", str(failure.value))
        self.assertEqual(len(self.web.heads), 1)

    def test_resting(self) -> None:
        """
        A tunnel that rests serves the next request too.
        """
        self.listen(3128, self.web)
        lines = Lines(self.reactor, maxIdle=1)
        agent = self.agent(
            "https://proxy.example/", {"HTTPS_PROXY": "web:3128"}, lines=lines
        )
        for _ in range(2):
            self.successResultOf(self.get(agent, "https://proxy.example/poll"))
        self.assertEqual((len(self.web.heads), len(self.server.heads)), (1, 2))

    def test_overTLS(self) -> None:
        """
        A web proxy with an https URL is itself spoken to over TLS: one TLS in
        another.
        """
        leaf = self.authority.issue_cert("web.example")
        self.listen(3128, self.web, serverOptions(leaf))
        d = self.fetched(
            "https://proxy.example/",
            environment={"HTTPS_PROXY": "https://web.example:3128"},
        )
        self.assertEqual(self.successResultOf(d), b"ok")
        self.assertEqual(len(self.web.heads), 1)

    def test_refused(self) -> None:
        """
        A web proxy that refuses is quoted, and nothing of the proxy's is sent.
        """
        self.web.destination = None
        self.web.reply = b"HTTP/1.1 407 Proxy Authentication Required\r\nA: b\r\n\r\n"
        self.listen(3128, self.web)
        d = self.fetched(
            "https://proxy.example/",
            environment={"HTTPS_PROXY": f"user:{SECRET}@web:3128"},
        )
        self.assertEqual(
            str(self.failureResultOf(d, TunnelRefused).value),
            "web proxy http://web:3128 refused CONNECT to proxy.example:443:"
            " 407 Proxy Authentication Required (HTTPS_PROXY may have user:password@)",
        )
        self.assertEqual(self.web.connections, [])
        self.assertQuiet()

    def test_unreachable(self) -> None:
        """
        A web proxy that cannot be reached is named.
        """
        d = self.fetched("https://proxy/", environment={"HTTPS_PROXY": "web:3128"})
        self.refuseConnection()
        self.assertIn(
            "cannot reach web proxy http://web:3128",
            str(self.failureResultOf(d, WebProxyError).value),
        )
        self.assertQuiet()
