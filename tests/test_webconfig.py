"""
Tests for L{pushprox.webconfig}.
"""

from __future__ import annotations

from typing import Any

import attrs
import bcrypt
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.sections import PEM, Section
from pushprox.webconfig import (
    ClientAuth,
    RateLimit,
    TLSServer,
    WebConfig,
    readWebConfig,
)

PATH = "/etc/pushprox/web.yml"

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

#: Every key of the format.
ALL = f"""\
tls_server_config:
  cert_file: proxy.pem
  key_file: /etc/ssl/private/proxy.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: sub/ca.pem
  client_allowed_sans: [prometheus.example.com, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    - TLS_AES_128_GCM_SHA256
    - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
  prefer_server_cipher_suites: true
  curve_preferences: [X25519, CurveP384]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000; includeSubDomains
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: ''
    Content-Security-Policy: default-src 'self'
basic_auth_users:
  alice: {HASH}
  no: {HASH}
  0123: {HASH}
rate_limit:
  interval: 100ms
  burst: 20
"""

#: TLS with nothing special.
TLS = "tls_server_config: {cert_file: c.pem, key_file: k.pem%s}"


def read(text: str) -> WebConfig:
    """
    @return: what this file says.
    """
    return readWebConfig(text.encode("utf-8"), PATH)


def tls(more: str) -> TLSServer:
    """
    @return: what it says of TLS with some more keys.
    """
    config = read(TLS % f", {more}" if more else TLS % "").tls
    assert config is not None
    return config


def file(key: str, path: str) -> PEM:
    """
    @return: a file that the section on TLS names.
    """
    return PEM(f"tls_server_config.{key}", path)


class GoodTests(SynchronousTestCase):
    """
    Files that can be used.
    """

    def test_all(self) -> None:
        """
        Every key of the format is understood. Names of files are relative to the
        file that they stand in, users' names are text whatever they look like,
        and a header without a value is none.
        """
        config = read(ALL)
        self.assertEqual(
            config.tls,
            TLSServer(
                certificate=PEM(
                    "tls_server_config.cert_file", "/etc/pushprox/proxy.pem"
                ),
                key=file("key_file", "/etc/ssl/private/proxy.pem"),
                clientAuth=ClientAuth(asks=True, requires=True, verifies=True),
                clientCA=PEM(
                    "tls_server_config.client_ca_file", "/etc/pushprox/sub/ca.pem"
                ),
                allowedNames=frozenset(["prometheus.example.com", "10.0.0.1"]),
                minimum=12,
                maximum=13,
                ciphers=(
                    "ECDHE-RSA-AES128-GCM-SHA256",
                    "ECDHE-ECDSA-CHACHA20-POLY1305",
                ),
                curves=("X25519", "P-384"),
            ),
        )
        assert config.tls is not None
        self.assertEqual(
            config.tls.files,
            (
                "/etc/pushprox/proxy.pem",
                "/etc/ssl/private/proxy.pem",
                "/etc/pushprox/sub/ca.pem",
            ),
        )
        self.assertEqual(
            config.users, dict.fromkeys((b"alice", b"no", b"0123"), HASH.encode())
        )
        self.assertEqual(
            config.headers,
            (
                ("Content-Security-Policy", "default-src 'self'"),
                ("X-Frame-Options", "deny"),
                ("X-Content-Type-Options", "nosniff"),
                ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ),
        )
        self.assertEqual(config.rateLimit, RateLimit(interval=0.1, burst=20))

    def test_nothing(self) -> None:
        """
        Where nothing is said, nothing is asked of anybody.
        """
        for text in (
            "",
            "# later",
            "{}",
            "tls_server_config:",
            "tls_server_config: {}\nbasic_auth_users: {}",
            "basic_auth_users: null\nhttp_server_config: {http2: false}",
            "rate_limit: {interval: 0, burst: 5}",
            "rate_limit: {}",
            "http_server_config: {headers: {X-Frame-Options: }}",
        ):
            self.assertEqual(read(text), WebConfig(), text)

    def test_plainTLS(self) -> None:
        """
        TLS needs no more than a certificate and its key.
        """
        self.assertEqual(
            tls(""),
            TLSServer(
                certificate=file("cert_file", "/etc/pushprox/c.pem"),
                key=file("key_file", "/etc/pushprox/k.pem"),
                clientAuth=ClientAuth(),
                clientCA=None,
                allowedNames=None,
                minimum=12,
                maximum=13,
                ciphers=(),
                curves=(),
            ),
        )

    def test_inline(self) -> None:
        """
        PEM may stand in the file itself; a name of a file comes first.
        """
        read_ = read(
            "tls_server_config: {cert: CERT, key: KEY, client_ca: CA, "
            "client_auth_type: VerifyClientCertIfGiven}"
        ).tls
        assert read_ is not None
        self.assertEqual(
            (read_.certificate, read_.key, read_.clientCA),
            (
                PEM("tls_server_config.cert", None, b"CERT"),
                PEM("tls_server_config.key", None, b"KEY"),
                PEM("tls_server_config.client_ca", None, b"CA"),
            ),
        )
        self.assertEqual(read_.files, ())
        self.assertEqual(tls("cert: CERT").certificate.path, "/etc/pushprox/c.pem")

    def test_clientAuth(self) -> None:
        """
        There are five ways to look at a client's certificate, and an old name.
        """
        for word, (asks, requires, verifies) in {
            "NoClientCert": (False, False, False),
            "RequestClientCert": (True, False, False),
            "RequireAnyClientCert": (True, True, False),
            "RequireClientCert": (True, True, False),
            "VerifyClientCertIfGiven": (True, False, True),
            "RequireAndVerifyClientCert": (True, True, True),
        }.items():
            authority = ", client_ca_file: ca.pem" if verifies else ""
            self.assertEqual(
                tls(f"client_auth_type: {word}{authority}").clientAuth,
                ClientAuth(asks, requires, verifies),
            )

    def test_versions(self) -> None:
        """
        One version can be chosen. Who lists ciphers of TLS 1.3 alone speaks
        nothing else.
        """
        for more, expected in {
            "max_version: TLS12": (12, 12),
            "min_version: TLS13": (13, 13),
            "cipher_suites: [TLS_AES_128_GCM_SHA256]": (13, 13),
            "cipher_suites: []": (12, 13),
        }.items():
            config = tls(more)
            self.assertEqual((config.minimum, config.maximum), expected)

    def test_references(self) -> None:
        """
        YAML's references and merges are understood.
        """
        config = read(
            f"basic_auth_users:\n  <<: {{a: &h {HASH}, b: *h}}\n  b: *h\n  c: *h"
        )
        self.assertEqual(sorted(config.users), [b"a", b"b", b"c"])

    def test_bcrypt(self) -> None:
        """
        What bcrypt makes is taken, whatever it calls its version.
        """
        for cost in (4, 5):
            hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(cost)).decode("ascii")
            for version in ("2a", "2b", "2x", "2y"):
                named = hashed.replace("$2b$", f"${version}$")
                config = read(f"basic_auth_users: {{a: {named}}}")
                self.assertTrue(bcrypt.checkpw(b"x", config.users[b"a"]))


#: What is wrong, and what is said to it after the file's name.
BROKEN = {
    # As YAML.
    "a: [b": "line 1: expected YAML: expected ',' or ']', but got '<stream end>'",
    "a: \x07": "expected YAML: unreadable characters",
    "a: 1\na: 2": "line 2: expected YAML: expected each key once",
    "tls_server_config: {cert_file: a, cert_file: b}": (
        "line 1: expected YAML: expected each key once"
    ),
    "{[a]: b}": "line 1: expected YAML: found unhashable key",
    "a: !!python/name:os.system": (
        "line 1: expected YAML: could not determine a constructor for the tag ..."
    ),
    "a: !!timestamp soon": (
        "line 1: expected YAML: could not determine a constructor for the tag ..."
    ),
    "!!map soon": "line 1: expected YAML: expected a mapping node, but found scalar",
    "[" * 5000: "expected YAML of reasonable depth",
    "- tls_server_config": "expected YAML with a section like tls_server_config",
    "nonsense": "expected YAML with a section like tls_server_config",
    # Keys.
    "tls_config: {}": (
        "expected some of tls_server_config, http_server_config, basic_auth_users, "
        "rate_limit; got 'tls_config'"
    ),
    "rate_limit: {rate: 1}": (
        "rate_limit: expected some of interval, burst; got 'rate'"
    ),
    "tls_server_config: on": (
        "tls_server_config: expected a section with keys of its own"
    ),
    "http_server_config: {headers: {Server: me}}": (
        "http_server_config.headers: expected some of Content-Security-Policy, "
        "X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, "
        "Strict-Transport-Security; got 'Server'"
    ),
    # TLS.
    "tls_server_config: {key_file: k}": (
        "tls_server_config.cert_file: expected the name of a PEM file with the "
        "certificate"
    ),
    "tls_server_config: {cert_file: c}": (
        "tls_server_config.key_file: expected the name of a PEM file with the "
        "private key"
    ),
    "tls_server_config: {min_version: TLS13}": (
        "tls_server_config.cert_file: expected the name of a PEM file with the "
        "certificate"
    ),
    "tls_server_config: {cert_file: [c]}": "tls_server_config.cert_file: expected text",
    TLS % ", client_auth_type: Always": (
        "tls_server_config.client_auth_type: expected one of NoClientCert, "
        "RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, "
        "RequireAndVerifyClientCert, RequireClientCert; got 'Always'"
    ),
    TLS % ", client_ca_file: ca": (
        "tls_server_config.client_auth_type: expected RequireAndVerifyClientCert "
        "where there is a client_ca"
    ),
    TLS % ", client_auth_type: RequireAndVerifyClientCert": (
        "tls_server_config.client_ca_file: expected the CA to verify certificates by"
    ),
    TLS % ", client_auth_type: RequestClientCert, client_allowed_sans: [a]": (
        "tls_server_config.client_allowed_sans: expected some names, and "
        "client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert"
    ),
    TLS % ", client_auth_type: RequireAnyClientCert, client_allowed_sans: []": (
        "tls_server_config.client_allowed_sans: expected some names, and "
        "client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert"
    ),
    TLS % ", min_version: TLS11": (
        "tls_server_config.min_version: expected one of TLS12, TLS13; got 'TLS11'"
    ),
    TLS % ", max_version: TLS10": (
        "tls_server_config.max_version: expected one of TLS12, TLS13; got 'TLS10'"
    ),
    TLS % ", min_version: TLS13, max_version: TLS12": (
        "tls_server_config.max_version: expected at least TLS13, got TLS12"
    ),
    TLS % ", cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12": (
        "tls_server_config.max_version: expected at least TLS13, got TLS12"
    ),
    TLS % ", cipher_suites: TLS_AES_128_GCM_SHA256": (
        "tls_server_config.cipher_suites: expected a list of texts"
    ),
    TLS % ", curve_preferences: [P256]": (
        "tls_server_config.curve_preferences: expected one of CurveP256, CurveP384, "
        "CurveP521, X25519; got 'P256'"
    ),
    TLS % ", curve_preferences: [[P256]]": (
        "tls_server_config.curve_preferences: expected a list of texts"
    ),
    # The rest.
    "http_server_config: {http2: maybe}": (
        "http_server_config.http2: expected one of true, True, TRUE, yes, Yes, YES, "
        "on, On, false, False, FALSE, no, No, NO, off, Off; got 'maybe'"
    ),
    "http_server_config: {headers: {X-Frame-Options: allow}}": (
        "http_server_config.headers.X-Frame-Options: expected one of deny, "
        "sameorigin; got 'allow'"
    ),
    'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nA: b"}}': (
        "http_server_config.headers.X-XSS-Protection: expected one line of ASCII text"
    ),
    "rate_limit: {interval: soon, burst: 1}": (
        "rate_limit.interval: expected a duration like 15s or 1m30s, got 'soon'"
    ),
    f"rate_limit: {{interval: 1s, burst: '{'9' * 400}'}}": (
        "rate_limit.burst: expected a whole number, got '99999999999999999999'"
    ),
    "rate_limit: {interval: 1s, burst: -1}": (
        "rate_limit.burst: expected a whole number, got '-1'"
    ),
    "rate_limit: {interval: 1s}": (
        "rate_limit.burst: expected at least 1, or no request is ever served"
    ),
    "basic_auth_users: {'a:b': x}": (
        "basic_auth_users.a...: expected the name of a user, which has no colon"
    ),
    "basic_auth_users: {alice:s3kr1t}": (
        "basic_auth_users.alice...: expected the name of a user, which has no colon"
    ),
    "basic_auth_users: {null: x}": (
        "basic_auth_users.None: expected the name of a user, which has no colon"
    ),
    "basic_auth_users: {a: }": (
        "basic_auth_users.a: expected a bcrypt hash like $2y$10$... with 60 characters"
    ),
    "basic_auth_users: {a: s3kr1t}": (
        "basic_auth_users.a: expected a bcrypt hash like $2y$10$... with 60 characters"
    ),
}


class BrokenTests(SynchronousTestCase):
    """
    Files that cannot be used.
    """

    def assertBroken(self, text: str, expected: str) -> None:
        """
        Reading this is refused with these words.
        """
        error = self.assertRaises(ValueError, read, text)
        self.assertEqual(str(error), f"{PATH}: {expected}")
        self.assertIsNone(error.__cause__)

    def test_broken(self) -> None:
        """
        Whatever is wrong is said in one line: in which file, with which key, and
        what was expected there.
        """
        for text, expected in BROKEN.items():
            self.assertBroken(text, expected)
            self.assertNotIn("\n", expected)

    def test_hashes(self) -> None:
        """
        What is no hash of bcrypt's is refused before a password is compared with
        it: by its version, cost, salt and length.
        """
        for wrong in (
            HASH.replace("2y", "2z"),
            HASH.replace("$10$", "$03$"),
            HASH.replace("$10$", "$32$"),
            HASH[:28] + "z" + HASH[29:],
            HASH[:-1],
            HASH + "a",
            HASH + "\\n",
            "$apr1$x$y",
        ):
            self.assertBroken(
                f'basic_auth_users: {{a: "{wrong}"}}',
                "basic_auth_users.a: expected a bcrypt hash like $2y$10$... "
                "with 60 characters",
            )

    def test_noSecrets(self) -> None:
        """
        No key and no hash is shown by what went wrong, or by what went well.
        """
        for text in (
            f"basic_auth_users: {{a: {HASH}, b: [s3kr1t]}}",
            "basic_auth_users: {a: s3kr1t}",
            "basic_auth_users: {a: 's3kr1t",
            "tls_server_config: {key: s3kr1t}",
            "tls_server_config: {cert: c, key: [s3kr1t]}",
            # Behind a space or a quote that is missing, or in a wrong place.
            "basic_auth_users: {a:s3kr1t}",
            "basic_auth_users: {a: *s3kr1t}",
            "basic_auth_users: {a: !s3kr1t}",
            "basic_auth_users: {a: !!s3kr1t'}",
            "tls_server_config: {cert: c, key:s3kr1t}",
            f"basic_auth_users: {{{HASH}: a}}",
            f"{HASH}: a",
            f"tls_server_config: {{client_auth_type: {HASH}}}",
            f"http_server_config: {{headers: {{X-Frame-Options: {HASH}}}}}",
        ):
            said = str(self.assertRaises(ValueError, read, text))
            self.assertNotIn("s3kr1t", said)
            self.assertNotIn(HASH, said)
        config = read(f"{TLS % ''}\nbasic_auth_users: {{a: {HASH}}}")
        inline = read("tls_server_config: {cert: c, key: s3kr1t}")
        for shown in (repr(config), repr(inline)):
            self.assertNotIn(HASH, shown)
            self.assertNotIn("s3kr1t", shown)

    @given(st.text() | st.binary())
    def test_anything(self, text: Any) -> None:
        """
        Whatever stands there, it can be used or is refused in one line.
        """
        if isinstance(text, str):
            text = f"basic_auth_users: {{{text}".encode("utf-8", "replace")
        try:
            readWebConfig(text, PATH)
        except ValueError as error:
            self.assertTrue(str(error).startswith(f"{PATH}: "))
            self.assertEqual(len(str(error).splitlines()), 1)


class SectionTests(SynchronousTestCase):
    """
    Tests for L{Section}, and for sections that only one program knows.
    """

    def test_names(self) -> None:
        """
        Keys that somebody chose are texts that can be shown.
        """
        self.assertEqual(Section("a.", {}).names, ())
        self.assertEqual(Section("a.", {"b": 1, "c d\xe9": 2}).names, ("b", "c d\xe9"))
        for key, shown in (
            (None, "None"),
            ("", "''"),
            (("b",), "..."),
            ("b\nc", "b..."),
            ("\u2028", "..."),
            ("\ud800", "..."),
        ):
            with self.assertRaises(ValueError) as caught:
                Section("a.", {"b": 1, key: 2}).names  # noqa: B018
            self.assertEqual(str(caught.exception), f"a.{shown}: expected a name")

    def test_sections(self) -> None:
        """
        A list of sections says where each of them is; what is none is refused.
        """
        self.assertEqual(Section("a.", {}).sections("b"), [])
        self.assertEqual(Section("a.", {"b": None}).sections("b"), [])
        self.assertEqual(Section("a.", {"b": []}).sections("b"), [])
        self.assertEqual(
            Section("a.", {"b": [{}, {"c": "d"}]}).sections("b"),
            [Section("a.b[0].", {}), Section("a.b[1].", {"c": "d"})],
        )
        for value in ({}, {"c": "d"}, "c", ["c"], [{}, None], [[]], [{}, "c"]):
            error = self.assertRaises(
                ValueError, Section("a.", {"b": value}).sections, "b"
            )
            self.assertEqual(
                str(error),
                "a.b: expected a list of sections with keys of their own",
            )

    def test_refuse(self) -> None:
        """
        Whatever a key is called, it is named on one line.
        """
        for key, shown in (("b", "b"), ("b\nc", "b..."), ("\x1b[m", "...")):
            error = self.assertRaises(ValueError, Section("a.", {}).refuse, key, "x")
            self.assertEqual(str(error), f"a.{shown}: expected x")
        error = self.assertRaises(
            ValueError, readWebConfig, b'basic_auth_users: {"a\\n:": x}', PATH
        )
        self.assertEqual(len(str(error).splitlines()), 1)

    def test_more(self) -> None:
        """
        A section that only one program knows is read by that, after all others
        and only if it is there; its value replaces theirs.
        """
        seen: list[tuple[Section, WebConfig, str]] = []

        def readMore(section: Section, config: WebConfig, folder: str) -> WebConfig:
            seen.append((section, config, folder))
            return attrs.evolve(config, roles=section.text("name"))

        more = {"mine": readMore}
        for text, entries in (
            (f"mine: {{name: x}}\n{ALL}", {"name": "x"}),
            ("mine:", {}),
            ("mine: {}", {}),
        ):
            config = readWebConfig(text.encode(), PATH, more)
            [(section, others, folder)] = seen
            self.assertEqual(section, Section("mine.", entries))
            self.assertEqual(folder, "/etc/pushprox")
            self.assertEqual(others, read(text.partition("\n")[2]))
            self.assertEqual(config, attrs.evolve(others, roles=section.text("name")))
            seen.clear()
        self.assertEqual(readWebConfig(ALL.encode(), PATH, more), read(ALL))
        self.assertEqual(seen, [])
        for text, expected in (
            (
                "mine: x",
                "mine: expected a section with keys of its own",
            ),
            ("mine: {name: [x]}", "mine.name: expected text"),
            (
                "other:",
                "expected some of tls_server_config, http_server_config, "
                "basic_auth_users, rate_limit, mine; got 'other'",
            ),
        ):
            error = self.assertRaises(
                ValueError, readWebConfig, text.encode(), PATH, more
            )
            self.assertEqual(str(error), f"{PATH}: {expected}")

    def test_schemes(self) -> None:
        """
        Somebody can say who he is by a password where there are users, and by a
        token where there are tokens.
        """
        users, tokens = {b"a": b"x"}, {b"x": "a"}
        for config, schemes in (
            (WebConfig(), ()),
            (WebConfig(roles=()), ()),
            (WebConfig(users=users), (b"Basic",)),
            (WebConfig(tokens=tokens), (b"Bearer",)),
            (WebConfig(users=users, tokens=tokens), (b"Basic", b"Bearer")),
        ):
            self.assertEqual(config.schemes, schemes)
