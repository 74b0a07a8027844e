"""
What stands in a web config file: how a program's own pages are served, in the
format that Prometheus's programs share (C{--web.config.file} of the
exporter-toolkit).

Knows the format, and how to say in one line what is wrong with a file: with
which key, and what was expected there. Bytes in, values out: it opens no file
and has no idea of what OpenSSL thinks of the certificates.

Passwords are in here as hashes only, and neither these nor a private key are in
the text of an error or in a C{repr}.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import attrs

from pushprox.durations import duration
from pushprox.sections import BOOLEANS, PEM, Section, readSections, shown
from pushprox.sources import Network

#: Go's names of what we can speak, and OpenSSL's. Those of TLS 1.3 are always
#: spoken where TLS 1.3 is, as Go has it.
_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": None,
    "TLS_AES_256_GCM_SHA384": None,
    "TLS_CHACHA20_POLY1305_SHA256": None,
}

_CURVES = {
    "CurveP256": "P-256",
    "CurveP384": "P-384",
    "CurveP521": "P-521",
    "X25519": "X25519",
}

# Go's programs also take TLS10 and TLS11.
_VERSIONS = {"TLS12": 12, "TLS13": 13}

#: Which headers can be set, and to what; to anything where that is empty.
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}

# 16 bytes of salt: the last of its 22 characters has no more than two bits.
_BCRYPT = re.compile(
    r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)

_ONE_LINE = re.compile(r"[\t\x20-\x7e]*")


@attrs.frozen
class ClientAuth:
    """
    What is asked of the certificate of whoever connects (Go's
    C{tls.ClientAuthType}).

    @ivar asks: whether one is asked for.
    @ivar requires: whether there must be one.
    @ivar verifies: whether it must be from a CA that we know.
    """

    asks: bool = False
    requires: bool = False
    verifies: bool = False


_CLIENT_AUTH = {
    "NoClientCert": ClientAuth(),
    "RequestClientCert": ClientAuth(True),
    "RequireAnyClientCert": ClientAuth(True, True),
    "VerifyClientCertIfGiven": ClientAuth(True, False, True),
    "RequireAndVerifyClientCert": ClientAuth(True, True, True),
    # The name of RequireAnyClientCert in old files.
    "RequireClientCert": ClientAuth(True, True),
}


@attrs.frozen
class Authority:
    """
    A CA that is told apart from others.

    @ivar name: what it is called here.
    @ivar certificates: its own, and of those below it that sign for it.
    @ivar revoked: its lists of what it takes back, if it has any.
    """

    name: str
    certificates: PEM
    revoked: PEM | None = None


@attrs.frozen
class TLSServer:
    """
    How to speak TLS.

    @ivar allowedNames: one of them must be among the client's subject
        alternative names; L{None} for any.
    @ivar minimum: the lowest version, 12 or 13.
    @ivar maximum: the highest.
    @ivar ciphers: for TLS 1.2, as OpenSSL names them; empty for the usual.
    @ivar curves: likewise.
    @ivar authorities: more CAs to verify certificates by.
    """

    certificate: PEM
    key: PEM
    clientAuth: ClientAuth
    clientCA: PEM | None
    allowedNames: frozenset[str] | None
    minimum: int
    maximum: int
    ciphers: tuple[str, ...]
    curves: tuple[str, ...]
    authorities: tuple[Authority, ...] = ()

    @property
    def trusts(self) -> bool:
        """
        Whether there is a CA to verify certificates by.
        """
        return bool(self.clientCA or self.authorities)

    @property
    def files(self) -> tuple[str, ...]:
        """
        The files that are part of it.
        """
        parts = [self.certificate, self.key, self.clientCA]
        for authority in self.authorities:
            parts += [authority.certificates, authority.revoked]
        return tuple(part.path for part in parts if part and part.path is not None)


@attrs.frozen
class RateLimit:
    """
    How many requests are served.

    @ivar interval: from one to the next, in the long run; seconds.
    @ivar burst: how many may come at once.
    """

    interval: float
    burst: int


@attrs.frozen
class WebConfig:
    """
    All of it.

    @ivar tls: L{None} for plain HTTP.
    @ivar users: the bcrypt hash of each user's password; empty where nobody
        is asked who he is.
    @ivar headers: for every reply of our own.
    @ivar tokens: who has a token, by its SHA-256 in hex.
    @ivar roles: what those may who are let in, nobody in particular among them;
        L{None} for everything. It is for one program to say what that is.
    @ivar trustedProxies: who may say where a request comes from.
    """

    tls: TLSServer | None = None
    users: Mapping[bytes, bytes] = attrs.field(factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    rateLimit: RateLimit | None = None
    tokens: Mapping[bytes, str] = attrs.field(factory=dict, repr=False)
    roles: Any = None
    trustedProxies: tuple[Network, ...] = ()

    @cached_property
    def schemes(self) -> tuple[bytes, ...]:
        """
        The ways to say who one is (RFC 7617, RFC 6750); none where there is nobody
        whom one could be.
        """
        ways = {b"Basic": self.users, b"Bearer": self.tokens}
        return tuple(scheme for scheme, known in ways.items() if known)

    @property
    def keepsOut(self) -> bool:
        """
        Whether nobody connects without a certificate of a CA that we know.
        """
        auth = self.tls.clientAuth if self.tls else ClientAuth()
        return auth.requires and auth.verifies

    @property
    def isOpen(self) -> bool:
        """
        Whether everybody gets in and may do everything.
        """
        return self.roles is None and not (self.users or self.keepsOut)


#: Reads a section that only one program knows.
#:
#: Takes the section, what stands in the others, and the directory from which
#: relative names of files start. Returns the whole, with what stands in this
#: section put in its place. Raises L{ValueError}, by L{Section.refuse}.
ReadMore = Callable[["Section", WebConfig, str], WebConfig]

NOTHING_MORE: Mapping[str, ReadMore] = {}


def readWebConfig(
    text: bytes, path: str, more: Mapping[str, ReadMore] = NOTHING_MORE
) -> WebConfig:
    """
    @param text: what stands in the file.
    @param path: where it is. Relative names of files in it start from there.
    @param more: who reads the sections that only this program knows, by key.
    @raise ValueError: if a program of Prometheus would not take it, or we do
        not; one line that names the file, the key and what was expected.
    """
    try:
        document = readSections(text, "tls_server_config")
        return _read(document, os.path.dirname(path), more)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read(document: Section, folder: str, more: Mapping[str, ReadMore]) -> WebConfig:
    names = ("tls_server_config", "http_server_config", "basic_auth_users")
    document.onlyHas((*names, "rate_limit", *more))
    tls, http, users = map(document.section, names)
    config = WebConfig(
        tls=_readTLS(tls, folder) if tls.entries else None,
        users=_readUsers(users),
        headers=_readHeaders(http),
        rateLimit=_readRateLimit(document.section("rate_limit")),
    )
    for key, read in more.items():
        if key in document.entries:
            config = read(document.section(key), config, folder)
    server = config.tls
    if server and server.clientAuth.verifies and not server.trusts:
        # Go would take the certificate of any CA that this machine knows.
        tls.refuse("client_ca_file", "the CA to verify certificates by")
    return config


def _readTLS(section: Section, folder: str) -> TLSServer:
    section.onlyHas(
        (
            "cert_file",
            "key_file",
            "cert",
            "key",
            "client_auth_type",
            "client_ca_file",
            "client_ca",
            "client_allowed_sans",
            "min_version",
            "max_version",
            "cipher_suites",
            "prefer_server_cipher_suites",
            "curve_preferences",
        )
    )
    certificate = section.pem("cert", "cert_file", folder)
    key = section.pem("key", "key_file", folder)
    if certificate is None:
        section.refuse("cert_file", "the name of a PEM file with the certificate")
    if key is None:
        section.refuse("key_file", "the name of a PEM file with the private key")
    auth = section.oneOf("client_auth_type", _CLIENT_AUTH, "NoClientCert")
    authority = section.pem("client_ca", "client_ca_file", folder)
    if authority is not None and not auth.asks:
        section.refuse(
            "client_auth_type", "RequireAndVerifyClientCert where there is a client_ca"
        )
    names = section.texts("client_allowed_sans")
    if names is not None and not (auth.requires and names):
        section.refuse(
            "client_allowed_sans",
            "some names, and client_auth_type RequireAndVerifyClientCert "
            "or RequireAnyClientCert",
        )
    minimum = section.oneOf("min_version", _VERSIONS, "TLS12")
    maximum = section.oneOf("max_version", _VERSIONS, "TLS13")
    suites = section.someOf("cipher_suites", _CIPHERS)
    ciphers = tuple(suite for suite in suites if suite)
    if suites and not ciphers:
        minimum = 13  # nothing is left to speak before
    if minimum > maximum:
        section.refuse("max_version", f"at least TLS{minimum}, got TLS{maximum}")
    # Said, but without effect, as in Go since 1.17: our order counts.
    section.oneOf("prefer_server_cipher_suites", BOOLEANS, "true")
    return TLSServer(
        certificate=certificate,
        key=key,
        clientAuth=auth,
        clientCA=authority,
        allowedNames=None if names is None else frozenset(names),
        minimum=minimum,
        maximum=maximum,
        ciphers=ciphers,
        curves=tuple(section.someOf("curve_preferences", _CURVES)),
    )


def _readUsers(section: Section) -> dict[bytes, bytes]:
    users = {}
    for user in section.entries:
        if not isinstance(user, str) or ":" in user:
            section.refuse(str(user), "the name of a user, which has no colon")
        hashed = section.entries[user]
        if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
            section.refuse(user, "a bcrypt hash like $2y$10$... with 60 characters")
        users[user.encode("utf-8")] = hashed.encode("ascii")
    return users


def _readHeaders(section: Section) -> tuple[tuple[str, str], ...]:
    section.onlyHas(("http2", "headers"))
    # We speak HTTP/1.1 either way.
    section.oneOf("http2", BOOLEANS, "true")
    headers = section.section("headers")
    headers.onlyHas(_HEADERS)
    found = []
    for name, choices in _HEADERS.items():
        value = headers.text(name)
        if value and value not in (choices or (value,)):
            headers.refuse(name, f"one of {', '.join(choices)}; got {shown(value)!r}")
        if not _ONE_LINE.fullmatch(value):
            headers.refuse(name, "one line of ASCII text")
        if value:
            found.append((name, value))
    return tuple(found)


def _readRateLimit(section: Section) -> RateLimit | None:
    section.onlyHas(("interval", "burst"))
    every = section.text("interval") or "0"
    try:
        interval = duration(every)
    except ValueError:
        section.refuse(
            "interval", f"a duration like 15s or 1m30s, got {shown(every)!r}"
        )
    burst = section.text("burst") or "0"
    # No more than Go's int has.
    if not (burst.isascii() and burst.isdigit() and len(burst) <= 18):
        section.refuse("burst", f"a whole number, got {shown(burst[:20])!r}")
    if not interval:
        return None
    if not int(burst):
        section.refuse("burst", "at least 1, or no request is ever served")
    return RateLimit(interval, int(burst))
