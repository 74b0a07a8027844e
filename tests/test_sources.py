"""
Tests for L{pushprox.sources}.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis.strategies import (
    DrawFn,
    binary,
    composite,
    ip_addresses,
    lists,
    sampled_from,
)
from twisted.internet import address as ends
from twisted.trial.unittest import SynchronousTestCase

from pushprox.sources import (
    LONGEST,
    Address,
    addressFrom,
    isIn,
    networkFrom,
    networkOf,
    peerOf,
    sourceOf,
)

TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "192.168.0.1", "fd00::/8")))


def walk(peer: str, *fields: bytes) -> str:
    """
    @return: where a request comes from.
    """
    return str(sourceOf(ip_address(peer), fields, TRUSTED))


class AddressTests(SynchronousTestCase):
    """
    Tests for L{addressFrom}, L{networkFrom}, L{peerOf} and L{networkOf}.
    """

    def test_addresses(self) -> None:
        """
        An address is the same in whatever form it is written.
        """
        for text, expected in (
            ("10.1.2.3", IPv4Address("10.1.2.3")),
            ("::ffff:10.1.2.3", IPv4Address("10.1.2.3")),
            ("::FFFF:0a01:0203", IPv4Address("10.1.2.3")),
            ("2001:DB8:0::1", IPv6Address("2001:db8::1")),
            ("fe80::1%eth0", IPv6Address("fe80::1")),
            ("010.1.2.3", None),
            ("10.1.2", None),
            ("10.1.2.3%eth0", None),
            ("fe80::1%", None),
            ("unknown", None),
            ("", None),
        ):
            self.assertEqual(addressFrom(text), expected, text)

    def test_long(self) -> None:
        """
        What is longer than any address is none, and is not remembered.
        """
        address = "fe80::1%"
        self.assertIsNotNone(addressFrom(address + "x" * (LONGEST - len(address))))
        self.assertIsNone(addressFrom(address + "x" * LONGEST))

    def test_networks(self) -> None:
        """
        A network may be of one address, and in a form of IPv6 be one of IPv4.
        """
        for text, expected in (
            ("10.0.0.1", "10.0.0.1/32"),
            ("192.168.0.0/24", "192.168.0.0/24"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ):
            self.assertEqual(str(networkFrom(text)), expected)

    def test_noNetworks(self) -> None:
        """
        What is none is refused, and shown; so is an address with the length of a
        network that begins elsewhere.
        """
        for text in ("10.0.0.1/24", "proxy.example", "", "10.0.0.0/33"):
            error = self.assertRaises(ValueError, networkFrom, text)
            self.assertEqual(
                str(error),
                f"an address or a network like 192.168.0.0/24, got {text!r}",
            )

    def test_peers(self) -> None:
        """
        The other end of a connection has an address if it is one of IP.
        """
        for end, expected in (
            (ends.IPv4Address("TCP", "10.1.2.3", 1), IPv4Address("10.1.2.3")),
            (ends.IPv6Address("TCP", "fe80::1%eth0", 1), IPv6Address("fe80::1")),
            (ends.IPv6Address("TCP", "::ffff:10.1.2.3", 1), IPv4Address("10.1.2.3")),
            (ends.UNIXAddress("/run/x"), None),
        ):
            self.assertEqual(peerOf(end), expected)

    def test_counted(self) -> None:
        """
        Of IPv6 the network counts, of IPv4 the address.
        """
        for source, expected in (
            (IPv4Address("10.1.2.3"), "10.1.2.3"),
            (IPv6Address("2001:db8::1:2:3:4"), "2001:db8::/64"),
            (IPv6Address("fe80::1"), "fe80::/64"),
            (None, "a local socket"),
        ):
            self.assertEqual(networkOf(source), expected)


class SourceTests(SynchronousTestCase):
    """
    Tests for L{sourceOf}.
    """

    def test_untrusted(self) -> None:
        """
        Who is not trusted may say what he likes: he is the source himself.
        """
        for peer in ("203.0.113.9", "2001:db8::9", "192.168.0.2"):
            self.assertEqual(walk(peer, b"10.0.0.1"), peer)
            self.assertEqual(walk(peer), peer)

    def test_nobodyTrusted(self) -> None:
        """
        Where nobody is trusted, nor is anybody heard.
        """
        peer = IPv4Address("10.0.0.1")
        self.assertEqual(sourceOf(peer, [b"203.0.113.9"], ()), peer)

    def test_localSocket(self) -> None:
        """
        Nor is who comes by a local socket, which is in no network.
        """
        self.assertIsNone(sourceOf(None, [b"203.0.113.9"], TRUSTED))

    def test_walk(self) -> None:
        """
        The source is the first from the right that is not trusted, whatever
        stands before it; or the last that is, where there is no more, or what
        cannot be read.
        """
        for fields, expected in (
            ([b"203.0.113.9"], "203.0.113.9"),
            ([b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ([b"198.51.100.1,203.0.113.9 ,\t10.0.0.2"], "203.0.113.9"),
            # Several headers are one list (RFC 9110 section 5.3).
            ([b"198.51.100.1", b"203.0.113.9", b"10.0.0.2, 10.0.0.3"], "203.0.113.9"),
            ([b"203.0.113.9", b"198.51.100.1"], "198.51.100.1"),
            # Nobody but those who are trusted.
            ([], "10.0.0.1"),
            ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ([b"fd00::3"], "fd00::3"),
            # What cannot be read.
            ([b""], "10.0.0.1"),
            ([b"203.0.113.9,"], "10.0.0.1"),
            ([b"203.0.113.9, unknown"], "10.0.0.1"),
            ([b"203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ([b"203.0.113.9, unix:, 10.0.0.2"], "10.0.0.2"),
            ([b"203.0.113.9, \xff\x00, 10.0.0.2"], "10.0.0.2"),
            ([b"203.0.113.9, _hidden"], "10.0.0.1"),
            # In all the forms in which proxies write an address.
            ([b"203.0.113.9:4711"], "203.0.113.9"),
            ([b"[2001:db8::9]"], "2001:db8::9"),
            ([b"[2001:db8::9]:4711"], "2001:db8::9"),
            ([b"2001:db8::9"], "2001:db8::9"),
            ([b"::ffff:203.0.113.9"], "203.0.113.9"),
            ([b"[::ffff:203.0.113.9]:1"], "203.0.113.9"),
            ([b"203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
            ([b"fe80::9%eth0"], "fe80::9"),
            ([b"[fe80::9%25eth0]:80"], "fe80::9"),
            # And in none of theirs.
            ([b"203.0.113.9:"], "10.0.0.1"),
            ([b"203.0.113.9:port"], "10.0.0.1"),
            ([b"203.0.113.9:123456"], "10.0.0.1"),
            ([b"[2001:db8::9"], "10.0.0.1"),
            ([b"[2001:db8::9]x"], "10.0.0.1"),
            ([b"[]"], "10.0.0.1"),
            ([b'"203.0.113.9"'], "10.0.0.1"),
            ([b"203.0.113.9 203.0.113.8"], "10.0.0.1"),
            ([b"1.2"], "10.0.0.1"),
        ):
            self.assertEqual(walk("10.0.0.1", *fields), expected, fields)

    def test_peersOfSixth(self) -> None:
        """
        A peer of either kind of IP may be trusted.
        """
        self.assertEqual(walk("fd00::1", b"203.0.113.9"), "203.0.113.9")
        self.assertEqual(walk("192.168.0.1", b"2001:db8::9"), "2001:db8::9")

    @given(lists(binary()), lists(binary()), ip_addresses())
    def test_anything(
        self, fields: list[bytes], others: list[bytes], peer: Address
    ) -> None:
        """
        Whatever is said, it does no harm, and who is not trusted has no say.
        """
        heard = sourceOf(peer, fields, TRUSTED)
        if not isIn(peer, TRUSTED):
            self.assertEqual(heard, sourceOf(peer, others, TRUSTED))
            self.assertEqual(heard, peer)


@composite
def chains(draw: DrawFn) -> tuple[Address, list[bytes]]:
    """
    @return: one who is not trusted, and what trusted proxies add behind him.
    """
    source = draw(ip_addresses().map(lambda a: addressFrom(str(a)) or a))
    if isIn(source, TRUSTED):
        source = IPv4Address("203.0.113.9")
    proxies = draw(lists(sampled_from((b"10.0.0.2", b"fd00::1", b"[fd00::1]:9"))))
    return source, [str(source).encode("ascii"), *proxies]


class ForgedTests(SynchronousTestCase):
    """
    Who asks may write an C{X-Forwarded-For} of his own.
    """

    @given(chains(), lists(binary()), sampled_from((b",", b", ", None)))
    def test_forged(
        self,
        chain: tuple[Address, Sequence[bytes]],
        forged: list[bytes],
        glue: bytes | None,
    ) -> None:
        """
        What he writes never matters, be it in the same header or in others
        before it.
        """
        source, told = chain
        fields = [*forged, *told] if glue is None else [glue.join([*forged, *told])]
        peer = IPv4Address("10.0.0.1")
        self.assertEqual(sourceOf(peer, fields, TRUSTED), source)
