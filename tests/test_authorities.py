"""
Tests for L{pushprox.authorities}: certificates and lists made for the occasion.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    AuthorityKeyIdentifier,
    Certificate,
    CertificateBuilder,
    CertificateRevocationList,
    CertificateRevocationListBuilder,
    CRLNumber,
    DeltaCRLIndicator,
    DNSName,
    ExtensionType,
    GeneralName,
    IPAddress,
    IssuingDistributionPoint,
    Name,
    NameAttribute,
    NameOID,
    ObjectIdentifier,
    RevokedCertificateBuilder,
    RFC822Name,
    SubjectAlternativeName,
    UnrecognizedExtension,
    load_der_x509_certificate,
    load_der_x509_crl,
)
from cryptography.x509.name import _ASN1Type
from twisted.trial.unittest import SynchronousTestCase

from pushprox.authorities import NO_AUTHORITIES, Authorities, Revoked, Shown, dnsNames
from pushprox.certificates import alternativeNames
from pushprox.sections import PEM
from pushprox.webconfig import Authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

#: The same as the programs have it.
SECONDS = NOW.timestamp()


def named(text: str, kind: _ASN1Type = _ASN1Type.UTF8String) -> Name:
    """
    @return: a subject.
    """
    return Name([NameAttribute(NameOID.COMMON_NAME, text, kind)])


class CA:
    """
    Makes certificates, and lists of those that it takes back.

    @ivar certificate: its own, by itself or by another.
    """

    def __init__(
        self,
        name: str | Name,
        by: CA | None = None,
        key: Any = None,
        number: int = 1,
        until: datetime = NOW + 9 * DAY,
    ) -> None:
        self.subject = named(name) if isinstance(name, str) else name
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.certify(
            self, signer=by or self, number=number, until=until
        )

    def certify(
        self,
        subject: CA | str,
        *names: str | GeneralName | ExtensionType,
        signer: CA | None = None,
        issuer: Name | None = None,
        number: int = 7,
        until: datetime = NOW + 9 * DAY,
    ) -> Certificate:
        """
        @param names: DNS names, other names, or whole extensions.
        @return: one more.
        """
        signer = signer or self
        isCA = isinstance(subject, CA)
        builder = (
            CertificateBuilder()
            .subject_name(subject.subject if isCA else named(subject))
            .issuer_name(issuer or signer.subject)
            .public_key((subject.key if isCA else self.key).public_key())
            .serial_number(number)
            .not_valid_before(NOW - 9 * DAY)
            .not_valid_after(until)
        )
        given: list[GeneralName] = []
        for name in names:
            if isinstance(name, ExtensionType):
                builder = builder.add_extension(name, critical=False)
            else:
                given.append(DNSName(name) if isinstance(name, str) else name)
        if given:
            builder = builder.add_extension(SubjectAlternativeName(given), False)
        return builder.sign(signer.key, SHA256())

    def revoke(
        self,
        *numbers: int,
        critical: ExtensionType | None = None,
        since: datetime = NOW - DAY,
        until: datetime = NOW + DAY,
    ) -> CertificateRevocationList:
        """
        @return: a list of what is taken back.
        """
        builder = (
            CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(since)
            .next_update(until)
            .add_extension(CRLNumber(1), critical=True)
            .add_extension(
                AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=True,
            )
        )
        if critical is not None:
            builder = builder.add_extension(critical, critical=True)
        for number in numbers:
            builder = builder.add_revoked_certificate(
                RevokedCertificateBuilder()
                .serial_number(number)
                .revocation_date(since)
                .build()
            )
        return builder.sign(self.key, SHA256())


def pem(*parts: CA | Certificate | CertificateRevocationList | bytes) -> bytes:
    """
    @return: what a file has with these.
    """
    blocks = []
    for part in parts:
        if isinstance(part, CA):
            blocks.append(part.certificate.public_bytes(Encoding.PEM))
        elif isinstance(part, bytes):
            blocks.append(part)
        else:
            blocks.append(part.public_bytes(Encoding.PEM))
    return b"".join(blocks)


def sequence(content: bytes) -> bytes:
    """
    @return: this in DER, if it has 128 bytes at least, and not very many.
    """
    length = len(content).to_bytes(1 if len(content) < 256 else 2, "big")
    return bytes([0x30, 0x80 | len(length)]) + length + content


def authority(name: str, *own: Any, revoked: Sequence[Any] | None = None) -> Authority:
    """
    @return: one, by what its files have.
    """
    lists = None
    if revoked is not None:
        lists = PEM(f"{name}.crl_file", f"{name}.crl", pem(*revoked))
    return Authority(name, PEM(f"{name}.ca_file", f"{name}.pem", pem(*own)), lists)


ROOT = CA("root")
MIDDLE = CA("middle", ROOT, number=2)
OTHER = CA("other")


class ShownTests(SynchronousTestCase):
    """
    Whose certificate it is.
    """

    def test_owner(self) -> None:
        """
        A certificate is of the CA that is nearest to it in its chain, of those
        that are listed. It is not its own CA, and what is above or beside does
        not matter.
        """
        leaf = MIDDLE.certify("leaf", "x")
        chain = [leaf, MIDDLE.certificate, ROOT.certificate]
        tables: tuple[tuple[list[Authority], list[Certificate], str | None], ...] = (
            ([authority("root", ROOT)], chain, "root"),
            ([authority("middle", MIDDLE)], chain, "middle"),
            ([authority("middle", MIDDLE)], chain[:2], "middle"),
            ([authority("both", ROOT, MIDDLE)], chain, "both"),
            ([authority("a", ROOT), authority("b", MIDDLE)], chain, "b"),
            ([authority("b", MIDDLE), authority("a", ROOT)], chain, "b"),
            ([authority("a", ROOT), authority("b", MIDDLE)], chain[1:], "a"),
            ([authority("other", OTHER)], chain, None),
            ([authority("leaf", leaf)], chain[:1], None),
            ([authority("middle", MIDDLE)], chain[1:2], None),
            ([authority("middle", MIDDLE)], chain[1:], None),
            ([authority("root", ROOT)], [], None),
            ([], chain, None),
        )
        for listed, given, expected in tables:
            shown = Authorities(listed).shown(given)
            self.assertEqual(shown and shown.authority, expected)
        self.assertIsNone(NO_AUTHORITIES.shown(chain))

    def test_forged(self) -> None:
        """
        A CA that only has the name of another is not that one.
        """
        forged = CA("middle", ROOT)
        listed = Authorities([authority("a", ROOT), authority("b", MIDDLE)])
        shown = listed.shown(
            [forged.certify("leaf"), forged.certificate, ROOT.certificate]
        )
        assert shown is not None
        self.assertEqual(shown.authority, "a")

    def test_renewed(self) -> None:
        """
        A CA whose certificate is renewed is the same to who is connected.
        """
        renewed = CA("root", key=ROOT.key, number=99)
        self.assertNotEqual(renewed.certificate, ROOT.certificate)
        shown = Authorities([authority("root", renewed)]).shown(
            [ROOT.certify("leaf"), ROOT.certificate]
        )
        assert shown is not None
        self.assertEqual(shown.authority, "root")

    def test_names(self) -> None:
        """
        The names of a certificate are its DNS names, in small letters and without
        a dot at the end. A subject is no name, a star grants nothing, and names
        of other kinds are not names of clients.
        """
        duplicate = self.withDuplicate()
        strange = UnrecognizedExtension(
            SubjectAlternativeName.oid,
            bytes.fromhex("3006a504a1020c00"),  # an EDI party
        )
        broken = UnrecognizedExtension(SubjectAlternativeName.oid, b"\x30\x05")
        tables: tuple[tuple[Certificate, set[str]], ...] = (
            (ROOT.certify("leaf.example"), set()),
            (ROOT.certify("leaf", "a.example", "b"), {"a.example", "b"}),
            (ROOT.certify("leaf", "WEB-1.Example."), {"web-1.example"}),
            (ROOT.certify("leaf", "*.example", "*", "w*b", "a"), {"a"}),
            (ROOT.certify("leaf", "*.example"), set()),
            (ROOT.certify("leaf", RFC822Name("a@b.example")), set()),
            (ROOT.certify("leaf", IPAddress(ip_address("10.0.0.1"))), set()),
            (ROOT.certify("leaf", "10.0.0.1"), {"10.0.0.1"}),
            (ROOT.certify("leaf", broken), set()),
            (ROOT.certify("leaf", strange), set()),
            (duplicate, set()),
        )
        for certificate, expected in tables:
            self.assertEqual(dnsNames(certificate), expected)
        for certificate in (duplicate, tables[-2][0], tables[-3][0]):
            self.assertIsNone(alternativeNames(certificate))

    def withDuplicate(self) -> Certificate:
        """
        @return: a certificate with one extension twice, beside a name.
        """
        one, other = (
            UnrecognizedExtension(ObjectIdentifier(f"1.2.3.4.5.{n}"), b"\5\0")
            for n in (6, 7)
        )
        der = ROOT.certify("leaf", "x", one, other).public_bytes(Encoding.DER)
        oid = bytes.fromhex("06052a03040506")
        self.assertEqual(der.count(oid), 1)
        return load_der_x509_certificate(der.replace(oid, oid[:-1] + b"\7"))

    def test_until(self) -> None:
        """
        It is good as long as everything in its chain is.
        """
        for leaf, middle, root, expected in (
            (1, 2, 3, 1),
            (3, 1, 2, 1),
            (3, 2, 1, 1),
            (2, 2, 2, 2),
        ):
            top = CA("root", until=NOW + root * DAY)
            between = CA("middle", top, until=NOW + middle * DAY)
            end = between.certify("leaf", until=NOW + leaf * DAY)
            for owner in (top, between):
                listed = Authorities([authority("a", owner)])
                shown = listed.shown([end, between.certificate, top.certificate])
                assert shown is not None
                until = (NOW + expected * DAY).timestamp()
                self.assertEqual(shown.until, until)
                self.assertIsNone(listed.fault(shown, until - 0.001))
                self.assertEqual(listed.fault(shown, until), "expired certificate")

    def test_values(self) -> None:
        """
        What was shown is a value, with which something can be looked up, and
        does not fill the log.
        """
        listed = Authorities([authority("root", ROOT)])
        chain = [ROOT.certify("leaf", "a"), ROOT.certificate]
        first, second = listed.shown(chain), listed.shown(chain)
        self.assertEqual({first}, {second})
        self.assertNotIn("serials", repr(first))


class RevokedTests(SynchronousTestCase):
    """
    What was taken back.
    """

    def faultOf(
        self,
        listed: Sequence[Authority],
        *chain: CA | Certificate,
        now: float = SECONDS,
    ) -> str | None:
        """
        @return: what is wrong with who shows this.
        """
        authorities = Authorities(listed)
        shown = authorities.shown(
            [link.certificate if isinstance(link, CA) else link for link in chain]
        )
        assert isinstance(shown, Shown)
        return authorities.fault(shown, now)

    def test_faults(self) -> None:
        """
        Every link up to the CA's own certificate is looked for on the list of who
        issued it. Where there are lists, one that is missing or old counts for
        as bad as one with everything on it.
        """
        leaf, under = ROOT.certify("leaf", number=7), MIDDLE.certify("leaf", number=7)
        revoked = "revoked certificate"
        old = "revocation list of its CA out of date"
        missing = "no revocation list for its issuer"
        past = NOW - DAY / 2
        tables: tuple[
            tuple[list[Any], list[Any] | None, list[Any], str | None], ...
        ] = (
            ([ROOT], None, [leaf, ROOT], None),
            ([ROOT], [ROOT.revoke()], [leaf, ROOT], None),
            ([ROOT], [ROOT.revoke(8)], [leaf, ROOT], None),
            ([ROOT], [ROOT.revoke(6, 7, 8)], [leaf, ROOT], revoked),
            # Of the same number, but of another.
            ([ROOT, MIDDLE], [ROOT.revoke(7), MIDDLE.revoke()], [under, MIDDLE], None),
            # One between, which the file does not name, or does.
            ([ROOT], [ROOT.revoke(2)], [under, MIDDLE, ROOT], missing),
            ([ROOT], None, [under, MIDDLE, ROOT], None),
            ([ROOT, MIDDLE], [ROOT.revoke()], [under, MIDDLE], missing),
            ([ROOT, MIDDLE], [MIDDLE.revoke()], [under, MIDDLE], None),
            ([ROOT, MIDDLE], [MIDDLE.revoke(7)], [under, MIDDLE, ROOT], revoked),
            ([MIDDLE], [MIDDLE.revoke(7)], [under, MIDDLE, ROOT], revoked),
            ([MIDDLE], [MIDDLE.revoke(2)], [under, MIDDLE, ROOT], None),
            (
                [ROOT, MIDDLE],
                [ROOT.revoke(2), MIDDLE.revoke()],
                [under, MIDDLE],
                revoked,
            ),
            # Old ones.
            ([ROOT], [ROOT.revoke(until=past)], [leaf, ROOT], old),
            ([ROOT], [ROOT.revoke(7, until=past)], [leaf, ROOT], old),
            (
                [ROOT, MIDDLE],
                [ROOT.revoke(until=past), MIDDLE.revoke()],
                [under, MIDDLE],
                old,
            ),
        )
        for own, lists, chain, expected in tables:
            fault = self.faultOf([authority("a", *own, revoked=lists)], *chain)
            self.assertEqual(fault, expected, (own, lists, chain))

    def test_due(self) -> None:
        """
        A list is good until the next is due, to the second.
        """
        listed = [authority("a", ROOT, revoked=[ROOT.revoke(until=NOW)])]
        chain = [ROOT.certify("leaf"), ROOT]
        self.assertIsNone(self.faultOf(listed, *chain, now=SECONDS - 0.001))
        fault = self.faultOf(listed, *chain, now=SECONDS)
        self.assertEqual(fault, "revocation list of its CA out of date")

    def test_expiredFirst(self) -> None:
        """
        An expired certificate is called that, whatever lists say.
        """
        listed = [authority("a", ROOT, revoked=[ROOT.revoke(7, until=NOW)])]
        chain = [ROOT.certify("leaf"), ROOT]
        fault = self.faultOf(listed, *chain, now=SECONDS + 9 * DAY.total_seconds())
        self.assertEqual(fault, "expired certificate")

    def test_severalLists(self) -> None:
        """
        All lists of one issuer count; which is due is said by the newest, in
        whatever order they are.
        """
        old = ROOT.revoke(7, since=NOW - 3 * DAY, until=NOW - 2 * DAY)
        new = ROOT.revoke(8)
        for lists in ([old, new], [new, old]):
            listed = [authority("a", ROOT, revoked=lists)]
            for number, expected in (
                (7, "revoked certificate"),
                (8, "revoked certificate"),
                (9, None),
            ):
                leaf = ROOT.certify("leaf", number=number)
                self.assertEqual(self.faultOf(listed, leaf, ROOT), expected)

    def test_otherCA(self) -> None:
        """
        The list of one CA says nothing of the certificates of another, though
        they are called the same.
        """
        twin = CA("root")
        listed = [
            authority("a", ROOT, revoked=[ROOT.revoke(7)]),
            authority("b", twin, revoked=[twin.revoke(8)]),
        ]
        for ca, number, expected in (
            (ROOT, 7, "revoked certificate"),
            (ROOT, 8, None),
            (twin, 7, None),
            (twin, 8, "revoked certificate"),
        ):
            leaf = ca.certify("leaf", number=number)
            self.assertEqual(self.faultOf(listed, leaf, ca), expected)
        fault = self.faultOf(
            [*listed[:1], authority("b", twin)], twin.certify("leaf"), twin
        )
        self.assertIsNone(fault)

    def test_spelledOtherwise(self) -> None:
        """
        A certificate that spells its issuer otherwise, as OpenSSL takes it, is
        looked for on the list of who signed it.
        """
        listed = [authority("a", ROOT, revoked=[ROOT.revoke(7)])]
        for issuer in (named("ROOT"), named("root", _ASN1Type.PrintableString)):
            leaf = ROOT.certify("leaf", issuer=issuer)
            self.assertEqual(self.faultOf(listed, leaf, ROOT), "revoked certificate")

    def test_neverDue(self) -> None:
        """
        A list that names no time for the next is good for ever.
        """
        tbs = ROOT.revoke(8, 9, 10).tbs_certlist_bytes
        self.assertEqual(tbs[:2], b"\x30\x81")
        # Without the second of the times, each of which takes 15 bytes.
        time = b"\x17\x0d"
        before, since, due, *after = tbs[3:].split(time)
        body = time.join((before, since)) + due[13:] + time.join((b"", *after))
        signature = b"\x03\x02\0\0"
        signed = ROOT.revoke().public_bytes(Encoding.DER)
        algorithm = bytes.fromhex("300a06082a8648ce3d040302")
        self.assertIn(algorithm, signed)
        each = load_der_x509_crl(sequence(sequence(body) + algorithm + signature))
        self.assertIsNone(each.next_update_utc)
        revoked = Revoked().plus(each)
        self.assertEqual(revoked.numbers, {8, 9, 10})
        self.assertEqual(revoked.until, float("inf"))


class BrokenTests(SynchronousTestCase):
    """
    Files that cannot be used.
    """

    def assertRefused(self, expected: str, *listed: Authority) -> None:
        """
        These are refused in one line, that names the key and the file.
        """
        error = self.assertRaises(ValueError, Authorities, listed)
        self.assertEqual(str(error), expected)
        self.assertEqual(len(str(error).splitlines()), 1)

    def test_noCertificates(self) -> None:
        """
        A CA without a certificate is none.
        """
        for content in (b"", b"nonsense", pem(ROOT.revoke())):
            self.assertRefused(
                "a.ca_file: a.pem: expected PEM certificates "
                "(-----BEGIN CERTIFICATE-----)",
                authority("a", content),
            )

    def test_sameCA(self) -> None:
        """
        No CA has two names: not with the same certificate, nor with another of
        the same key. In one file it may be twice.
        """
        renewed = CA("root", key=ROOT.key, number=99)
        crossed = CA("root", OTHER, key=ROOT.key)
        for again in (ROOT, renewed, crossed):
            self.assertRefused(
                "b.ca_file: b.pem: expected another CA than a's",
                authority("a", ROOT),
                authority("b", OTHER, again),
            )
            Authorities([authority("a", ROOT, again, again)])
        # Two that are only called the same.
        Authorities([authority("a", ROOT), authority("b", CA("root"))])

    def test_unknownKey(self) -> None:
        """
        A CA with a key that is not known is told apart by its certificate.
        """
        curve = bytes.fromhex("06082a8648ce3d030107")
        strange = [
            ca.certificate.public_bytes(Encoding.DER).replace(
                curve, curve[:-1] + b"\x55"
            )
            for ca in (ROOT, CA("root"))
        ]
        one, other = map(load_der_x509_certificate, strange)
        self.assertRefused(
            "b.ca_file: b.pem: expected another CA than a's",
            authority("a", one),
            authority("b", one),
        )
        Authorities([authority("a", one), authority("b", other)])
        self.assertRefused(
            "a.crl_file: a.crl: expected lists that this CA signed, got one from"
            " 'CN=root'",
            authority("a", one, revoked=[ROOT.revoke()]),
        )

    def twice(self, each: CertificateRevocationList) -> CertificateRevocationList:
        """
        @return: a list with one extension twice.
        """
        der = each.public_bytes(Encoding.DER)
        number, signer = (bytes.fromhex(f"0603551d{last}") for last in ("14", "23"))
        self.assertEqual((der.count(number), der.count(signer)), (1, 1))
        return load_der_x509_crl(der.replace(number, signer))

    def test_noLists(self) -> None:
        """
        What is no list, or one that was cut off, is refused, also after others
        that are good.
        """
        good = pem(ROOT.revoke())
        begin, end = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
        for content in (
            b"",
            b"nonsense",
            pem(ROOT),
            ROOT.revoke().public_bytes(Encoding.DER),
            good[:-20],
            good + good[:60],
            good + begin,
            good + good.replace(b"\nM", b"\nN", 1),
            begin + b"\n" + end,
            # With the same extension twice.
            pem(self.twice(ROOT.revoke())),
        ):
            self.assertRefused(
                "a.crl_file: a.crl: expected PEM revocation lists "
                "(-----BEGIN X509 CRL-----)",
                authority("a", ROOT, revoked=[content]),
            )
        for content in (b"# ours\n" + good + b"\n# that is all\n", good + good):
            Authorities([authority("a", ROOT, revoked=[content])])

    def test_foreignList(self) -> None:
        """
        A list has to be signed by one of the CA's own, and its name is not
        enough.
        """
        twin = CA("root")
        for foreign, name in (
            (OTHER, "CN=other"),
            (twin, "CN=root"),
            (MIDDLE, "CN=middle"),
            (CA("renamed", key=ROOT.key), "CN=renamed"),
            (CA("a\nb"), r"CN=a\nb"),
        ):
            self.assertRefused(
                "a.crl_file: a.crl: expected lists that this CA signed, got one from"
                f" '{name}'",
                authority("a", ROOT, revoked=[ROOT.revoke(), foreign.revoke()]),
            )

    def test_partialList(self) -> None:
        """
        A list that says only a part, in a way that we do not understand, is
        refused.
        """
        partial = IssuingDistributionPoint(None, None, True, False, None, False, False)
        strange = UnrecognizedExtension(ObjectIdentifier("1.2.3"), b"\5\0")
        for critical in (partial, DeltaCRLIndicator(1), strange):
            self.assertRefused(
                "a.crl_file: a.crl: expected complete lists, for all purposes",
                authority("a", ROOT, revoked=[ROOT.revoke(critical=critical)]),
            )
