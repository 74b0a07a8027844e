"""
Tests for L{pushprox.client.policy}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.policy import Destination, NotAllowed, Policy

POLICY = Policy("t1")


class DestinationTests(SynchronousTestCase):
    """
    What the URL of a scrape leads to.
    """

    def test_parts(self) -> None:
        """
        A URL is taken apart into what to connect to and what to say there.
        """
        self.assertEqual(
            POLICY.destination(b"http://t1:9100/metrics?a=b"),
            Destination("http", "t1", 9100, b"/metrics?a=b", b"t1:9100"),
        )

    def test_defaultPorts(self) -> None:
        """
        Without a port it is the one of the scheme, and the Host header has none.
        """
        for url, port in [
            (b"http://t1/", 80),
            (b"http://t1:/", 80),
            (b"https://t1/", 443),
            (b"http://t1/?_scheme=https", 443),
            (b"https://t1/?_scheme=http", 80),
        ]:
            destination = POLICY.destination(url)
            self.assertEqual((destination.port, destination.authority), (port, b"t1"))

    def test_portAsWritten(self) -> None:
        """
        A port that the URL names stays, whatever C{_scheme} says.
        """
        destination = POLICY.destination(b"http://t1:80/?_scheme=https")
        self.assertEqual(destination.origin, ("https", "t1", 80))
        self.assertEqual(destination.authority, b"t1:80")

    def test_schemeInCapitals(self) -> None:
        """
        Schemes know no case.
        """
        self.assertEqual(POLICY.destination(b"HTTPS://t1/").scheme, "https")

    def test_emptyPath(self) -> None:
        """
        A URL that ends with the host, or goes on with a query, asks for /.
        """
        for url, resource in [
            (b"http://t1", b"/"),
            (b"http://t1?x=1", b"/?x=1"),
            (b"http://t1/?", b"/?"),
        ]:
            self.assertEqual(POLICY.destination(url).resource, resource)

    def test_resourceStays(self) -> None:
        """
        Path and query reach the target byte for byte.
        """
        resource = b"/a/../b%2f;c//?b=2&a=1&&a=b+c&m[]={x}&\xc3\xa9=%zz"
        self.assertEqual(POLICY.destination(b"http://t1" + resource).resource, resource)

    def test_fragment(self) -> None:
        """
        A fragment is not sent.
        """
        for url in [b"http://t1/m#f?x", b"http://t1/m#", b"http://t1/m#a#b"]:
            self.assertEqual(POLICY.destination(url).resource, b"/m")
        self.assertEqual(POLICY.destination(b"http://t1#f").resource, b"/")

    def test_scheme(self) -> None:
        """
        C{_scheme} chooses the scheme and is removed; the first one counts, and
        all other parameters stay as they are, in their order.
        """
        for resource, scheme, left in [
            (b"/m?_scheme=https", "https", b"/m"),
            (b"/m?_scheme=http", "http", b"/m"),
            (b"/m?x=1&_scheme=https&a=b+c", "https", b"/m?x=1&a=b+c"),
            (b"/m?_scheme=https&b=2&a=1", "https", b"/m?b=2&a=1"),
            (b"/m?_scheme=https&_scheme=http", "https", b"/m"),
            (b"/m?a&_scheme=http&&_scheme=gopher&b", "http", b"/m?a&&b"),
            (b"?_scheme=https", "https", b"/"),
            (b"/m?x_scheme=https", "http", b"/m?x_scheme=https"),
            (b"/m?a=_scheme=https", "http", b"/m?a=_scheme=https"),
            (b"/_scheme=https", "http", b"/_scheme=https"),
        ]:
            destination = POLICY.destination(b"http://t1" + resource)
            self.assertEqual((destination.scheme, destination.resource), (scheme, left))

    def test_wrongScheme(self) -> None:
        """
        What is neither http nor https is refused, in the URL or in C{_scheme}.
        """
        for url in [
            b"ftp://t1/",
            b"http://t1/?_scheme=ftp",
            b"http://t1/?_scheme=HTTPS",
            b"http://t1/?_scheme=",
            b"http://t1/?_scheme",
            b"http://t1/?_scheme=\xff&_scheme=https",
        ]:
            error = self.assertRaises(ValueError, POLICY.destination, url)
            self.assertIn("expected the scheme http or https, got", str(error))

    def test_names(self) -> None:
        """
        Names compare without case and without a trailing dot; the Host header
        has them as the URL spelled them.
        """
        for name in ["t1.example.org", "T1.Example.Org", "t1.example.org."]:
            for host in [b"t1.example.org", b"T1.EXAMPLE.org."]:
                destination = Policy(name).destination(b"http://%s:9100/" % host)
                self.assertEqual(destination.host, "t1.example.org")
                self.assertEqual(destination.authority, host + b":9100")

    def test_addressOfVersionSix(self) -> None:
        """
        An IPv6 address is a name in brackets.
        """
        self.assertEqual(
            Policy("::1").destination(b"http://[::1]:9100/"),
            Destination("http", "::1", 9100, b"/", b"[::1]:9100"),
        )

    def test_otherNames(self) -> None:
        """
        This client serves one name, and says which.
        """
        for host in [b"t2", b"t1.example.org", b"127.0.0.1", b"[::1]", b"t1.."]:
            self.assertRaises(NotAllowed, POLICY.destination, b"http://%s/" % host)
        error = self.assertRaises(NotAllowed, POLICY.destination, b"http://t2:1/")
        self.assertEqual(str(error), "This client serves t1, not t2")

    def test_wrongURLs(self) -> None:
        """
        What is no absolute URL, or has a user in it, is refused.
        """
        for url in [
            b"",
            b"/metrics",
            b"t1:9100",
            b"http:///metrics",
            b"http://t1:x/",
            b"http://t1:65536/",
            b"http://t1:0/",
            b"http://user@t1/",
            b"http://t1@t2/",
            b"http://t1:80@t2/",
            b"http://[::1/",
            b"http://t1/a b",
            b"http://t1/\r\nX: y",
            b"http://t1\\@t2/",
        ]:
            self.assertRaises(ValueError, POLICY.destination, url)

    def test_text(self) -> None:
        """
        A destination can be shown: there is no query in it.
        """
        destination = POLICY.destination(b"http://T1/m?token=secret&_scheme=https")
        self.assertEqual(str(destination), "https://T1")


class RedirectTests(SynchronousTestCase):
    """
    What a redirect may lead to.
    """

    origin = POLICY.destination(b"http://t1:9100/a/b?x=1")

    def test_resolved(self) -> None:
        """
        A Location may be absolute or relative.
        """
        for location, url in [
            (b"/m", b"http://t1:9100/m"),
            (b"m?y=2", b"http://t1:9100/a/m?y=2"),
            (b"../m", b"http://t1:9100/m"),
            (b"?y=2", b"http://t1:9100/a/b?y=2"),
            (b"//t1/m", b"http://t1/m"),
            (b"//T1:9101/m", b"http://T1:9101/m"),
            (b"http://t1:9101/m", b"http://t1:9101/m"),
            (b"HTTPS://t1/m", b"https://t1/m"),
            (b"https://t1.:9443", b"https://t1.:9443/"),
            (b"/m#fragment", b"http://t1:9100/m"),
            (b"/\xe9", b"http://t1:9100/\xe9"),
        ]:
            self.assertEqual(
                POLICY.redirect(self.origin, location), POLICY.destination(url)
            )

    def test_fromTLS(self) -> None:
        """
        A relative Location stays with TLS, a schemeless one too.
        """
        origin = POLICY.destination(b"http://t1:9443/a?_scheme=https")
        for location in [b"/m", b"//t1:9443/m"]:
            self.assertEqual(
                POLICY.redirect(origin, location),
                POLICY.destination(b"https://t1:9443/m"),
            )

    def test_schemeParameter(self) -> None:
        """
        C{_scheme} in a Location is the target's own.
        """
        self.assertEqual(
            POLICY.redirect(self.origin, b"/m?_scheme=https"),
            Destination("http", "t1", 9100, b"/m?_scheme=https", b"t1:9100"),
        )

    def test_elsewhere(self) -> None:
        """
        Other names, other schemes and what cannot be read are not followed.
        """
        for location in [
            b"http://t2/m",
            b"//t2/m",
            b"http://127.0.0.1:9100/m",
            b"http://t1@t2/m",
            b"http://user@t1/m",
            b"ftp://t1/m",
            b"file:///etc/passwd",
            b"mailto:root@t1",
            b"/a b",
            b"http://t1:x/",
            b"http://[::1/",
            b"http://t1\xaa/",
        ]:
            self.assertIsNone(POLICY.redirect(self.origin, location))

    @given(st.binary(), st.sampled_from([b"", b"/", b"//", b"http://", b"http:"]))
    def test_neverElsewhere(self, location: bytes, prefix: bytes) -> None:
        """
        Whatever a Location says, it leads to this client's name or nowhere, and
        to a resource that cannot end the request line.
        """
        destination = POLICY.redirect(self.origin, prefix + location)
        if destination is not None:
            self.assertEqual(destination.host, "t1")
            self.assertNotRegex(destination.resource, rb"[\x00-\x20\x7f]")
