"""
Tests for L{pushprox.client.webproxy}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.webproxy import WebProxies
from tests.servers import SECRET


class WebProxiesTests(SynchronousTestCase):
    """
    Which web proxy an environment names.
    """

    def proxyFor(self, url: str, **environment: str) -> str:
        """
        @return: the web proxy's URL, or C{direct}.
        """
        webProxy = WebProxies(environment).proxyFor(url)
        return "direct" if webProxy is None else webProxy.url

    def test_none(self) -> None:
        """
        An empty environment, or an empty variable, names no web proxy.
        """
        self.assertEqual(self.proxyFor("http://proxy/"), "direct")
        self.assertEqual(self.proxyFor("http://proxy/", HTTP_PROXY=""), "direct")

    def test_byScheme(self) -> None:
        """
        HTTP_PROXY is for http and HTTPS_PROXY for https, and neither stands in
        for the other.
        """
        both = {"HTTP_PROXY": "http://a:3128", "HTTPS_PROXY": "http://b:3128"}
        self.assertEqual(self.proxyFor("http://proxy/", **both), "http://a:3128")
        self.assertEqual(self.proxyFor("https://proxy/", **both), "http://b:3128")
        self.assertEqual(self.proxyFor("https://proxy/", HTTP_PROXY="a:1"), "direct")
        self.assertEqual(self.proxyFor("http://proxy/", HTTPS_PROXY="a:1"), "direct")

    def test_lowerCase(self) -> None:
        """
        The variables work in lower case, after those in capitals.
        """
        lower = {"http_proxy": "http://a:1", "https_proxy": "http://b:1"}
        self.assertEqual(self.proxyFor("http://proxy/", **lower), "http://a:1")
        self.assertEqual(self.proxyFor("https://proxy/", **lower), "http://b:1")
        self.assertEqual(
            self.proxyFor("http://proxy/", **lower, HTTP_PROXY="c"), "http://c"
        )
        self.assertEqual(
            self.proxyFor("http://proxy/", **lower, no_proxy="proxy"), "direct"
        )

    def test_value(self) -> None:
        """
        A value may lack its scheme, and may hold credentials, which no repr
        shows.
        """
        for value, expected in {
            "web:3128": ("http://web:3128", "web", 3128),
            "web": ("http://web", "web", 80),
            "https://web/": ("https://web", "web", 443),
            "user:s3kr1t@web:3128": ("http://web:3128", "web", 3128),
            "http://user:s3kr1t@[::1]:3128/": ("http://[::1]:3128", "::1", 3128),
        }.items():
            webProxies = WebProxies({"HTTP_PROXY": value})
            webProxy = webProxies.proxyFor("http://proxy/")
            assert webProxy is not None
            self.assertEqual((webProxy.url, webProxy.host, webProxy.port), expected)
            self.assertEqual(
                webProxy.authorization,
                b"Basic dXNlcjpzM2tyMXQ=" if "user" in value else None,
            )
            for shown in (repr(webProxy), str(webProxy), repr(webProxies)):
                self.assertNotIn(SECRET, shown)
                self.assertNotIn("dXNl", shown)

    def test_unusable(self) -> None:
        """
        A web proxy of another kind is refused under its variable's name, and
        only where it would be used.
        """
        environment = {"https_proxy": f"socks5://u:{SECRET}@web:1080", "no_proxy": "x"}
        with self.assertRaises(ValueError) as raised:
            self.proxyFor("https://proxy/", **environment)
        self.assertEqual(
            str(raised.exception),
            "https_proxy: expected a URL like http://proxy:3128,"
            " got 'socks5://***@web:1080'",
        )
        self.assertEqual(self.proxyFor("https://x/", **environment), "direct")
        self.assertEqual(self.proxyFor("http://proxy/", **environment), "direct")

    def test_commonGatewayInterface(self) -> None:
        """
        In a CGI script the web proxy for http is not believed; that for https
        is.
        """
        environment = {"HTTP_PROXY": "a", "HTTPS_PROXY": "b", "REQUEST_METHOD": "GET"}
        self.assertEqual(self.proxyFor("http://proxy/", **environment), "direct")
        self.assertEqual(self.proxyFor("https://proxy/", **environment), "http://b")

    def test_loopback(self) -> None:
        """
        What is on this machine is never reached through a web proxy.
        """
        for host, expected in {
            "localhost": "direct",
            "LOCALHOST:8080": "direct",
            "127.0.0.1": "direct",
            "127.1.2.3:8080": "direct",
            "[::1]:8080": "direct",
            "[::ffff:127.0.0.1]": "direct",
            "[::2]": "http://web",
            "128.0.0.1": "http://web",
            "localhost.net": "http://web",
            "my.localhost": "http://web",
        }.items():
            self.assertEqual(
                self.proxyFor(f"http://{host}/", HTTP_PROXY="web"), expected
            )

    def test_exempt(self) -> None:
        """
        NO_PROXY exempts names, suffixes, addresses and networks, also for one
        port alone.
        """
        exempt = (
            "foobar.com, .barbaz.net ,*.wildcard.io,UPPER.example,port.example:8080,"
            "192.168.1.1,192.168.1.2:81,192.168.1.3:80,10.0.0.0/30,"
            "2001:db8::52:0:1,[2001:db8::52:0:2]:443,[2001:db8::52:0:3]:80,"
            "[2001:db8::4],2002:db8:a::45/64,,:1,bad/33"
        )
        for host, isExempt in {
            "foobar.com": True,
            "www.foobar.com": True,
            "foofoobar.com": False,
            "foobar.com.example": False,
            "barbaz.net": False,
            "www.barbaz.net": True,
            "barbarbaz.net": False,
            "wildcard.io": False,
            "nested.wildcard.io": True,
            "awildcard.io": False,
            "upper.EXAMPLE": True,
            "port.example": False,
            "port.example:8080": True,
            "sub.port.example:8080": True,
            "192.168.1.1": True,
            "192.168.1.1:8080": True,
            "192.168.1.2": False,
            "192.168.1.2:81": True,
            "192.168.1.3": True,
            "192.168.1.3:81": False,
            "192.168.1.4": False,
            "10.0.0.2": True,
            "10.0.0.4": False,
            "[2001:db8:0:0::52:0:1]": True,
            "[2001:db8::52:0:2]": False,
            "[2001:db8::52:0:3]": True,
            "[2001:db8::4]:8080": True,
            "[2002:db8:a::123]": True,
            "[2002:db8:b::123]": False,
            "other.example:1": False,
            "dotted.example.": False,
        }.items():
            self.assertEqual(
                self.proxyFor(f"http://{host}/", HTTP_PROXY="web", NO_PROXY=exempt),
                "direct" if isExempt else "http://web",
                host,
            )

    def test_exemptDefaultPort(self) -> None:
        """
        A port in NO_PROXY is compared with the default port of the scheme.
        """
        environment = {"HTTP_PROXY": "a", "HTTPS_PROXY": "b", "NO_PROXY": "proxy:443"}
        self.assertEqual(self.proxyFor("https://proxy/", **environment), "direct")
        self.assertEqual(self.proxyFor("http://proxy/", **environment), "http://a")

    def test_exemptAll(self) -> None:
        """
        A star in NO_PROXY exempts everything, also beside other entries.
        """
        for exempt in ("*", "other.example, *"):
            for host in ("proxy", "192.0.2.1", "[2001:db8::1]"):
                self.assertEqual(
                    self.proxyFor(f"http://{host}/", HTTP_PROXY="a", NO_PROXY=exempt),
                    "direct",
                )

    @given(
        st.lists(
            st.one_of(
                st.text(alphabet="a1.:*[]/ ", max_size=12),
                st.ip_addresses().map(str),
                st.sampled_from(["10.0.0.0/8", "::/0", ".a", "*.a", "a:1"]),
            )
        ),
        st.one_of(
            st.sampled_from(["a", "b.a", "a.b"]),
            st.ip_addresses(v=4).map(str),
            st.ip_addresses(v=6).map("[{}]".format),
        ),
    )
    def test_exemptAnything(self, entries: list[str], host: str) -> None:
        """
        No NO_PROXY is an error, and to name the host itself exempts it.
        """
        exempt = ",".join(entries)
        self.proxyFor(f"http://{host}/", HTTP_PROXY="web", NO_PROXY=exempt)
        self.assertEqual(
            self.proxyFor(
                f"http://{host}/", HTTP_PROXY="web", NO_PROXY=f"{exempt},{host}"
            ),
            "direct",
        )
