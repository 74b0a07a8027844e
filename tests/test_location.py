"""
Tests for L{pushprox.client.location}.
"""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.location import ProxyLocation
from tests.servers import SECRET


class ProxyLocationTests(SynchronousTestCase):
    """
    What C{--proxy-url} may look like.
    """

    def test_base(self) -> None:
        """
        The base is the URL in ASCII with one slash at its end.
        """
        for text, base in {
            "http://proxy": "http://proxy/",
            "http://proxy:8080/": "http://proxy:8080/",
            "HTTPS://Proxy.Example:8443/Prefix//": "https://proxy.example:8443/Prefix/",
            "http://proxy:80/a%2Fb/c%20d/é": "http://proxy/a%2Fb/c%20d/%C3%A9/",
            "https://proxy:443/": "https://proxy/",
            "https://proxy:80/": "https://proxy:80/",
            "http://192.0.2.1:1/": "http://192.0.2.1:1/",
            "http://[2001:DB8::1]:65535/x": "http://[2001:db8::1]:65535/x/",
            "http://[2001:db8::8080]": "http://[2001:db8::8080]/",
            "http://bücher.example/": "http://xn--bcher-kva.example/",
            "http://Push_Proxy.:8080/x": "http://push_proxy.:8080/x/",
        }.items():
            self.assertEqual(ProxyLocation.fromText(text).base, base)
            self.assertIsNone(ProxyLocation.fromText(text).authorization)

    def test_url(self) -> None:
        """
        A path is appended to the base, as text and as a URL for treq.
        """
        location = ProxyLocation.fromText("http://user@[::1]:8080/x")
        self.assertEqual(location.url("poll"), "http://[::1]:8080/x/poll")
        self.assertEqual(
            location.requestURL("poll").to_uri().to_text(), location.url("poll")
        )

    def test_credentials(self) -> None:
        """
        Percent-decoded credentials become an Authorization, and leave the URL.
        """
        for userinfo, pair in {
            "user:password": b"user:password",
            "user": b"user:",
            ":password": b":password",
            "us%40er:p%3Aa%2Fs:s%25": b"us@er:p:a/s:s%",
            "us@er:p@ss": b"us@er:p@ss",
            "jörg:%ff": b"j\xc3\xb6rg:\xff",
        }.items():
            location = ProxyLocation.fromText(f"http://{userinfo}@proxy:8080/x")
            self.assertEqual(location.base, "http://proxy:8080/x/")
            self.assertEqual(location.authorization, b"Basic " + b64encode(pair))

    def test_emptyCredentials(self) -> None:
        """
        An empty user name without a password is no credentials at all.
        """
        self.assertIsNone(ProxyLocation.fromText("http://@proxy/").authorization)

    def test_provenAs(self) -> None:
        """
        A certificate may have to be for another name than the URL's host, which
        is all that changes.
        """
        location = ProxyLocation.fromText("https://me:secret@10.0.0.1/x")
        self.assertIsNone(location.serverName)
        for text, name in {
            "Proxy.Example": "proxy.example",
            "b\u00fccher.example": "xn--bcher-kva.example",
            "Push_Proxy": "push_proxy",
            "192.0.2.1": "192.0.2.1",
            "2001:DB8::1": "2001:db8::1",
        }.items():
            proven = location.provenAs(text)
            self.assertEqual(proven.serverName, name)
            self.assertEqual(proven.url("poll"), location.url("poll"))
            self.assertEqual(proven.authorization, location.authorization)

    def test_noServerName(self) -> None:
        """
        What can be in no certificate is refused, and so is a name for a place
        that shows none.
        """
        location = ProxyLocation.fromText("https://proxy/")
        for text in ("a b", "a/b", "a:1", "u@a", "a..b", "*.a.example", "a\n", "[::1]"):
            error = self.assertRaises(ValueError, location.provenAs, text)
            self.assertEqual(
                str(error), f"expected a name like proxy.example.com, got {text!r}"
            )
        location = ProxyLocation.fromText("http://me:secret@proxy/")
        error = self.assertRaises(ValueError, location.provenAs, "a.example")
        self.assertEqual(
            str(error), "expected a --proxy-url with https, got http://proxy/"
        )

    def test_refused(self) -> None:
        """
        What is no URL of a server is refused with what was expected.
        """
        for text in (
            "",
            "proxy",
            "proxy:8080",
            "//proxy:8080/",
            "ftp://proxy/",
            "http:proxy",
            "http://",
            "http:///x",
            "http://:8080/",
            "http://proxy:/",
            "http://proxy:0/",
            "http://proxy:65536/",
            "http://proxy:http/",
            "http://proxy:٣/",
            "http://proxy:-1/",
            "http://pro xy/",
            "http://proxy/c d",
            "http://proxy\n/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[1:2]/",
            "http://::1/",
            "http://a..b/",
            "http://under_score..x/",
            "http://b\u00fc_cher/",
            f"http://{'a' * 64}/",
            "http://proxy/?query",
            "http://proxy/#fragment",
            " http://proxy/",
        ):
            with self.assertRaises(ValueError) as raised:
                ProxyLocation.fromText(text)
            self.assertEqual(
                str(raised.exception),
                f"expected a URL like http://proxy:8080/, got {text!r}",
            )

    def test_refusedWithoutPassword(self) -> None:
        """
        The text of an error shows what was wrong and not the credentials.
        """
        for text, shown in {
            f"user:{SECRET}@proxy:8080": "***@proxy:8080",
            f"ftp://user:{SECRET}@proxy/": "ftp://***@proxy/",
            f"http://user:{SECRET}/x@proxy/": "http://***@proxy/",
            f"http://user:80/{SECRET}@proxy/": "http://***@proxy/",
            f"http://u@e:{SECRET}\n@proxy:x/": "http://***@proxy:x/",
        }.items():
            with self.assertRaises(ValueError) as raised:
                ProxyLocation.fromText(text)
            self.assertEqual(
                str(raised.exception),
                f"expected a URL like http://proxy:8080/, got {shown!r}",
            )

    @given(st.text(), st.sampled_from(["http://", "https://", "socks5://", ""]))
    def test_passwordNeverShown(self, ending: str, scheme: str) -> None:
        """
        Whatever the password is made of, it is in no error, no base, no repr.
        """
        text = f"{scheme}user:{SECRET}{ending}@proxy:8080/"
        try:
            location = ProxyLocation.fromText(text)
        except ValueError as error:
            self.assertNotIn(SECRET, str(error))
        else:
            self.assertEqual(location.base, f"{scheme}proxy:8080/")
            self.assertNotIn(SECRET, repr(location))
            self.assertNotIn(repr(location.authorization), repr(location))
