"""
Tests for L{pushprox.proxy.roles}.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import attrs
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.credentials import makeToken
from pushprox.proxy.access import PAGES, Asker, Bearer, Globs, Role
from pushprox.proxy.roles import Roles, readRoles
from pushprox.sections import PEM
from pushprox.webconfig import Authority, WebConfig, readWebConfig
from tests.test_access import shown
from tests.test_webconfig import HASH, PATH

#: The digest of a token, and of another.
DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
OTHER = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

#: TLS that asks for certificates, and two users.
BASE = f"""\
tls_server_config:
  cert_file: c.pem
  key_file: k.pem
  client_auth_type: VerifyClientCertIfGiven
  client_ca: ANY
basic_auth_users: {{prometheus: {HASH}, Admin: {HASH}}}
"""

#: Every key of the section.
ALL = f"""\
{BASE}
pushprox:
  tokens:
    client-a: {DIGEST.upper()}
    123: {OTHER}
  authorities:
    tenant-a: {{ca_file: tenant-a.pem, crl_file: /etc/crl/tenant-a.crl}}
    no: {{ca: CA, crl: CRL}}
  trusted_proxies: [10.0.0.1, 192.168.0.0/24, "2001:db8::/32"]
  roles:
    everything:
      users: [prometheus, Admin]
      tokens: [client-a, "1*"]
      certificates:
        - {{authority: tenant-a, name: Prometheus.Example.org.}}
        - {{authority: no}}
      networks: [10.1.0.0/16, 10.2.3.4, "::1"]
      anyone: yes
      scrape: ["*", Web-1.]
      poll: ["WEB-?", "2001:db8::1"]
      pages: [clients, metrics, page, ready, reload]
    from-certificate:
      certificates: [{{authority: tenant-a}}]
      poll: ["a-*"]
      from_certificate: true
    from-token:
      tokens: [client-a]
      poll: ["*"]
      from_token: true
    007:
"""


def read(text: str) -> WebConfig:
    """
    @return: what this file says.
    """
    return readWebConfig(text.encode("utf-8"), PATH, {"pushprox": readRoles})


#: Nobody may do anything, which is told.
NO_ROLES = Roles((), ("there are no roles: nobody may do anything",))


def rolesOf(text: str) -> Roles:
    """
    @return: what it says of roles.
    """
    found = read(text).roles
    assert isinstance(found, Roles)
    return found


def section(text: str) -> str:
    """
    @return: a file with this in the section.
    """
    return f"{BASE}pushprox: {{{text}}}"


def role(text: str, more: str = "") -> str:
    """
    @return: a file with one role, a token and a CA.
    """
    return section(
        f"tokens: {{t: {DIGEST}}}, authorities: {{a: {{ca: A}}, b: {{ca: B}}}},"
        f" roles: {{r: {{{text}}}{more}}}"
    )


def described(role: Role) -> dict[str, Any]:
    """
    @return: what is said in a role, in values that can be compared.
    """
    found: dict[str, Any] = {}
    for field in attrs.fields(Role):
        value = getattr(role, field.name)
        if isinstance(value, Globs):
            value = value.globs
        elif field.name == "bearers":
            value = [(b.authority, b.names and b.names.globs) for b in value]
        if value:
            found[field.name] = value
    return found


class GoodTests(SynchronousTestCase):
    """
    Sections that can be used.
    """

    def test_all(self) -> None:
        """
        Every key is understood. Names of clients and of certificates are
        compared without case and a dot at the end, those of users and tokens as
        they are, whatever they look like.
        """
        config = read(ALL)
        assert config.tls is not None
        self.assertEqual(
            config.tokens, {DIGEST.encode(): "client-a", OTHER.encode(): "123"}
        )
        key = "pushprox.authorities"
        self.assertEqual(
            config.tls.authorities,
            (
                Authority(
                    "tenant-a",
                    PEM(f"{key}.tenant-a.ca_file", "/etc/pushprox/tenant-a.pem"),
                    PEM(f"{key}.tenant-a.crl_file", "/etc/crl/tenant-a.crl"),
                ),
                Authority(
                    "no",
                    PEM(f"{key}.no.ca", None, b"CA"),
                    PEM(f"{key}.no.crl", None, b"CRL"),
                ),
            ),
        )
        self.assertEqual(
            config.tls.files,
            (
                "/etc/pushprox/c.pem",
                "/etc/pushprox/k.pem",
                "/etc/pushprox/tenant-a.pem",
                "/etc/crl/tenant-a.crl",
            ),
        )
        found = rolesOf(ALL)
        self.assertEqual(
            config.trustedProxies,
            tuple(map(ip_network, ("10.0.0.1/32", "192.168.0.0/24", "2001:db8::/32"))),
        )
        self.assertEqual(
            [described(each) for each in found.roles],
            [
                {
                    "name": "everything",
                    "users": ("prometheus", "Admin"),
                    "tokens": ("client-a", "1*"),
                    "bearers": [
                        ("tenant-a", ("prometheus.example.org",)),
                        ("no", None),
                    ],
                    "networks": tuple(
                        map(ip_network, ("10.1.0.0/16", "10.2.3.4/32", "::1/128"))
                    ),
                    "anyone": True,
                    "scrape": ("*", "web-1"),
                    "poll": ("web-?", "2001:db8::1"),
                    "pages": frozenset(PAGES),
                },
                {
                    "name": "from-certificate",
                    "bearers": [("tenant-a", None)],
                    "poll": ("a-*",),
                    "fromCertificate": True,
                },
                {
                    "name": "from-token",
                    "tokens": ("client-a",),
                    "poll": ("*",),
                    "fromToken": True,
                },
                {"name": "007"},
            ],
        )

    def test_nothing(self) -> None:
        """
        An empty section is one, by which nobody may do anything; without the
        section there are no roles at all. Neither needs TLS.
        """
        for text in (
            "pushprox:",
            "pushprox: {}",
            "pushprox: {roles: }",
            "pushprox: {tokens: {}, authorities: , trusted_proxies: [], roles: {}}",
        ):
            self.assertEqual(rolesOf(text), NO_ROLES, text)
        self.assertIsNone(read("").roles)
        self.assertEqual(read(BASE), readWebConfig(BASE.encode(), PATH))

    def test_oneRole(self) -> None:
        """
        A key without a value says no more than one that is not there.
        """
        [found] = rolesOf(
            role(
                "users: , tokens: [], certificates: , networks: , anyone: , scrape: ,"
                "poll: [], from_certificate: , from_token: no, pages: "
            )
        ).roles
        self.assertEqual(described(found), {"name": "r"})

    def test_trusts(self) -> None:
        """
        Where CAs are told apart, no other is needed.
        """
        text = BASE.replace("  client_ca: ANY\n", "")
        for more, isTaken in (
            ("pushprox: {authorities: {a: {ca: A}}}", True),
            ("pushprox: {}", False),
            ("", False),
        ):
            if isTaken:
                config = read(text + more)
                assert config.tls is not None
                self.assertTrue(config.tls.trusts)
                self.assertIsNone(config.tls.clientCA)
            else:
                error = self.assertRaises(ValueError, read, text + more)
                self.assertIn("tls_server_config.client_ca_file", str(error))

    def test_noSecrets(self) -> None:
        """
        No digest is shown: it is not the token, but nobody's business either.
        """
        self.assertNotIn(DIGEST, repr(read(ALL)))
        for text in (f"tokens: {{a: {DIGEST}0}}", f"tokens: {{a: [{DIGEST}]}}"):
            error = self.assertRaises(ValueError, read, section(text))
            self.assertNotIn(DIGEST, str(error))

    def test_noTokens(self) -> None:
        """
        Nor so much of a token that the rest could be guessed, where one stands in
        the place of a name: half of it is not shown.
        """
        token = makeToken()
        for text in (
            section(f"tokens: {{'{token}': a}}"),
            section(f"authorities: {{'{token}': {{x: a}}}}"),
            role(f"scrape: ['{token}=']"),
            role(f"certificates: [{{authority: '{token}'}}]"),
            role(f"certificates: [{{authority: a, name: '{token}='}}]"),
        ):
            error = self.assertRaises(ValueError, read, text)
            self.assertNotIn(token[:22], str(error))
        for text in (
            role(f"tokens: ['{token}']"),
            section(f"tokens: {{'{token}': {DIGEST}}}"),
        ):
            for doubt in rolesOf(text).doubts:
                self.assertNotIn(token[:22], doubt)

    def test_fromTenants(self) -> None:
        """
        A tenant's CA makes certificates for the names of its role, and for no
        names of another's.
        """
        roles = rolesOf(
            role(
                "certificates: [{authority: a}], poll: ['A-*'], from_certificate: on",
                ", s: {certificates: [{authority: b}], poll: ['b-*'],"
                " from_certificate: on}",
            )
        ).roles
        for authority, expected in (("a", "a-1"), ("b", "b-1"), ("c", "")):
            asker = Asker(certificate=shown(authority, "a-1", "b-1", "c-1"))
            granted = [
                name
                for name in ("a-1", "a-2", "b-1", "c-1")
                for each in roles
                if each.isOf(asker) and each.grantsPoll(asker, name)
            ]
            self.assertEqual(" ".join(granted), expected)


#: A CA where certificates are not verified.
BY_ANY = section("authorities: {a: {ca: A}}").replace(
    "VerifyClientCertIfGiven", "RequireAnyClientCert"
)

LISTED = "expected one of the authorities, got"
TLS_NEEDED = (
    "authorities: expected none without a tls_server_config whose client_auth_type"
    " verifies, such as VerifyClientCertIfGiven"
)
BEARERS, TOKENS = "certificates: [{authority: a}]", "tokens: [t]"
KEYS = (
    "users, tokens, certificates, networks, anyone, scrape, poll, from_certificate,"
    " from_token, pages"
)
BOOLEAN = (
    "expected one of true, True, TRUE, yes, Yes, YES, on, On, false, False, FALSE,"
    " no, No, NO, off, Off; got"
)

#: What is expected of networks.
NETWORK = "an address or a network like 192.168.0.0/24"


#: What is wrong, and what is said to it after the name of the section.
BROKEN = {
    # The section.
    "pushprox: []": ": expected a section with keys of its own",
    "pushprox: yes": ": expected a section with keys of its own",
    section("role: {}"): (
        ": expected some of tokens, authorities, trusted_proxies, roles; got 'role'"
    ),
    section("roles: [r]"): ".roles: expected a section with keys of its own",
    # Tokens.
    section("tokens: [a]"): ".tokens: expected a section with keys of its own",
    section("tokens: {a: }"): (
        ".tokens.a: expected the SHA-256 of a token, 64 hexadecimal digits"
    ),
    section(f"tokens: {{a: {DIGEST[1:]}}}"): (
        ".tokens.a: expected the SHA-256 of a token, 64 hexadecimal digits"
    ),
    section(f"tokens: {{a: {DIGEST[1:]}g}}"): (
        ".tokens.a: expected the SHA-256 of a token, 64 hexadecimal digits"
    ),
    section(f'tokens: {{a: "{DIGEST}\\n"}}'): (
        ".tokens.a: expected the SHA-256 of a token, 64 hexadecimal digits"
    ),
    section(f"tokens: {{a: [{DIGEST}]}}"): ".tokens.a: expected text",
    section(f"tokens: {{null: {DIGEST}}}"): ".tokens.None: expected a name",
    section(f"tokens: {{'': {DIGEST}}}"): ".tokens.'': expected a name",
    section(f'tokens: {{"a\\nb": {DIGEST}}}'): ".tokens.a...: expected a name",
    section(f"tokens: {{a: {DIGEST}, b: {DIGEST.upper()}}}"): (
        ".tokens.b: expected another token than a's"
    ),
    # CAs.
    section("authorities: {a: {}}"): (
        ".authorities.a.ca_file: expected the name of a PEM file with the CA's"
        " certificates"
    ),
    section("authorities: {a: a.pem}"): (
        ".authorities.a: expected a section with keys of its own"
    ),
    section("authorities: {a: {ca_file: [a.pem]}}"): (
        ".authorities.a.ca_file: expected text"
    ),
    section("authorities: {a: {ca: A, crl_file: {}}}"): (
        ".authorities.a.crl_file: expected text"
    ),
    section("authorities: {a: {cert_file: a}}"): (
        ".authorities.a: expected some of ca_file, ca, crl_file, crl; got 'cert_file'"
    ),
    section("authorities: {~: {ca: A}}"): ".authorities.None: expected a name",
    "pushprox: {authorities: {a: {ca: A}}}": f".{TLS_NEEDED}",
    BY_ANY: f".{TLS_NEEDED}",
    BY_ANY.replace("RequireAny", "Request"): f".{TLS_NEEDED}",
    # Networks.
    section("trusted_proxies: 10.0.0.1"): ".trusted_proxies: expected a list of texts",
    section("trusted_proxies: [10.0.0.1, proxy]"): (
        f".trusted_proxies: expected {NETWORK}, got 'proxy'"
    ),
    role("networks: [10.1.2.3/16]"): (
        f".roles.r.networks: expected {NETWORK}, got '10.1.2.3/16'"
    ),
    role("networks: [10]"): (
        f".roles.r.networks: expected {NETWORK}, got '10'"
    ),
    role("networks: ['']"): (
        f".roles.r.networks: expected {NETWORK}, got ''"
    ),
    role("networks: ['*']"): (
        f".roles.r.networks: expected {NETWORK}, got '*'"
    ),
    # Roles.
    section("roles: {r: [scrape]}"): (
        ".roles.r: expected a section with keys of its own"
    ),
    section("roles: {~: {}}"): ".roles.None: expected a name",
    section('roles: {"r\\r": {}}'): ".roles.r...: expected a name",
    role("user: [a]"): f".roles.r: expected some of {KEYS}; got 'user'",
    role("users: prometheus"): ".roles.r.users: expected a list of texts",
    role("users: [[a]]"): ".roles.r.users: expected a list of texts",
    role("users: [~]"): ".roles.r.users: expected a list of texts",
    role("users: {a: }"): ".roles.r.users: expected a list of texts",
    role("tokens: t"): ".roles.r.tokens: expected a list of texts",
    role("scrape: '*'"): ".roles.r.scrape: expected a list of texts",
    role("poll: '*'"): ".roles.r.poll: expected a list of texts",
    role("pages: metrics"): ".roles.r.pages: expected a list of texts",
    role("pages: [metrics, healthy]"): (
        ".roles.r.pages: expected one of page, clients, metrics, ready, reload;"
        " got 'healthy'"
    ),
    role("anyone: everybody"): f".roles.r.anyone: {BOOLEAN} 'everybody'",
    role("anyone: [yes]"): ".roles.r.anyone: expected text",
    role("scrape: ['a b']"): (
        ".roles.r.scrape: expected names or patterns like web-*, got 'a b'"
    ),
    role("scrape: ['']"): (
        ".roles.r.scrape: expected names or patterns like web-*, got ''"
    ),
    role("poll: ['[ab]']"): (
        ".roles.r.poll: expected names or patterns like web-*, got '[ab]'"
    ),
    role('poll: ["a\\n"]'): (
        r".roles.r.poll: expected names or patterns like web-*, got 'a\n'"
    ),
    role("poll: ['\u212a']"): (
        ".roles.r.poll: expected names or patterns like web-*, got '\u212a'"
    ),
    # Certificates.
    role("certificates: {authority: a}"): (
        ".roles.r.certificates: expected a list of sections with keys of their own"
    ),
    role("certificates: [a]"): (
        ".roles.r.certificates: expected a list of sections with keys of their own"
    ),
    role("certificates: [~]"): (
        ".roles.r.certificates: expected a list of sections with keys of their own"
    ),
    role("certificates: [{authority: a}, {authority: c}]"): (
        f".roles.r.certificates[1].authority: {LISTED} 'c'"
    ),
    role("certificates: [{authority: A}]"): (
        f".roles.r.certificates[0].authority: {LISTED} 'A'"
    ),
    role("certificates: [{name: x}]"): (
        f".roles.r.certificates[0].authority: {LISTED} ''"
    ),
    role("certificates: [{authority: [a]}]"): (
        ".roles.r.certificates[0].authority: expected text"
    ),
    role("certificates: [{authority: a, names: x}]"): (
        ".roles.r.certificates[0]: expected some of authority, name; got 'names'"
    ),
    role("certificates: [{authority: a, name: }]"): (
        ".roles.r.certificates[0].name: expected a DNS name or a pattern for one,"
        " got ''"
    ),
    role("certificates: [{authority: a, name: ''}]"): (
        ".roles.r.certificates[0].name: expected a DNS name or a pattern for one,"
        " got ''"
    ),
    role("certificates: [{authority: a, name: CN=x}]"): (
        ".roles.r.certificates[0].name: expected a DNS name or a pattern for one,"
        " got 'CN=x'"
    ),
    role("certificates: [{authority: a, name: [x]}]"): (
        ".roles.r.certificates[0].name: expected text"
    ),
    # From what is shown.
    **{
        role(f"{more}poll: ['*'], {key}: true"): (
            f".roles.r.{key}: expected only {kind}s in this role"
        )
        for key, kind, own, others in (
            ("from_certificate", "certificate", BEARERS, TOKENS),
            ("from_token", "token", TOKENS, BEARERS),
        )
        for more in (
            "",
            "anyone: true, ",
            "users: [a], ",
            "networks: [10.0.0.0/8], ",
            f"{others}, ",
            f"{own}, anyone: true, ",
            f"{own}, users: [a], ",
            f"{own}, networks: [10.0.0.0/8], ",
            f"{own}, {others}, ",
        )
    },
    role("certificates: [{authority: a}], scrape: ['*'], from_certificate: true"): (
        ".roles.r.poll: expected patterns for the names that from_certificate may grant"
    ),
    role("tokens: [t], poll: [], from_token: true"): (
        ".roles.r.poll: expected patterns for the names that from_token may grant"
    ),
    role("tokens: [t], poll: ['*'], from_token: maybe"): (
        f".roles.r.from_token: {BOOLEAN} 'maybe'"
    ),
    role("from_certificate: maybe"): f".roles.r.from_certificate: {BOOLEAN} 'maybe'",
}  # fmt: skip


class BrokenTests(SynchronousTestCase):
    """
    Sections that cannot be used.
    """

    def test_broken(self) -> None:
        """
        Whatever is wrong is said in one line: in which file, with which key, and
        what was expected there.
        """
        for text, expected in BROKEN.items():
            error = self.assertRaises(ValueError, read, text)
            self.assertEqual(str(error), f"{PATH}: pushprox{expected}", text)
            self.assertEqual(len(str(error).splitlines()), 1)
            self.assertIsNone(error.__cause__)

    @given(st.text() | st.text("{}[]:, ~'\"*&<\n-ab"))
    @example('"a\\nb": 1')
    @example('tokens: {"a\\u2028b": x}')
    @example('authorities: {"a\\ud800": x}')
    def test_anything(self, text: str) -> None:
        """
        Whatever stands there, it can be used or is refused in one line.
        """
        for outer in ("pushprox: {%s}", "pushprox: {roles: {r: {%s}}}"):
            file = (outer % text).encode("utf-8", "surrogatepass")
            try:
                readWebConfig(file, PATH, {"pushprox": readRoles})
            except ValueError as error:
                self.assertTrue(str(error).startswith(f"{PATH}: "))
                self.assertEqual(len(str(error).splitlines()), 1)

    def test_unknown(self) -> None:
        """
        Who has no use for the section does not take it.
        """
        error = self.assertRaises(ValueError, readWebConfig, ALL.encode(), PATH)
        self.assertIn("rate_limit; got 'pushprox'", str(error))


FINE = "users: [prometheus, Admin], tokens: [t], scrape: ['*']"
MINT = "certificates: [{authority: %s}], poll: [%s], from_certificate: true"


def minting(*roles: tuple[str, str], more: str = "") -> str:
    """
    @return: a file with roles by certificates, by CA and names.
    """
    others = "".join(
        f", s{number}: {{{MINT % each}}}" for number, each in enumerate(roles)
    )
    return role(FINE, others + more)


#: What may be a slip, and what is said to it.
DOUBTS: tuple[tuple[str, list[str]], ...] = (
    (role(FINE), []),
    (role(f"{FINE}, anyone: true"), []),
    (
        section(""),
        [
            "there are no roles: nobody may do anything",
            "user prometheus has no role, and may do nothing of his own",
            "user Admin has no role, and may do nothing of his own",
        ],
    ),
    (
        role("users: [admin, prom*], tokens: ['*'], poll: [a]"),
        [
            "user Admin has no role, and may do nothing of his own",
            "role r is for user admin, and there is none",
        ],
    ),
    (
        role("users: ['*', bob], poll: [a]"),
        [
            "role r is for user bob, and there is none",
            "token t has no role, and may do nothing of his own",
        ],
    ),
    (
        role(f"{FINE}", ", s: {tokens: [t, gone], pages: [page]}"),
        ["role s is for token gone, and there is none"],
    ),
    (role(FINE, ", s: {anyone: true}"), ["role s grants nothing"]),
    (role(FINE, ", s: {scrape: ['*']}"), ["role s is for nobody"]),
    (role(FINE, ", s: {}"), ["role s is for nobody", "role s grants nothing"]),
    (role(FINE, ", s: {networks: [10.0.0.0/8], poll: [a]}"), []),
    (role(FINE, ", s: {certificates: [{authority: a}], pages: [page]}"), []),
    # CAs that mint for each other.
    (minting(("a", "'a-*'"), ("b", "'b-*'")), []),
    (minting(("a", "'a-*'"), ("a", "'a-*'")), []),
    (
        minting(("a", "x, y"), ("b", "y, x")),
        ["a and b can both make certificates for names like y"],
    ),
    (
        minting(("a", "'*'"), ("b", "'b-*', c")),
        ["a and b can both make certificates for names like b-*"],
    ),
    (
        minting(("a", "'b-1'"), ("b", "'B-?'")),
        ["a and b can both make certificates for names like b-1"],
    ),
    (
        role(FINE, ", s: {%s}" % (MINT % ("a}, {authority: b", "x"))),
        ["a and b can both make certificates for names like x"],
    ),
    (minting(("a", "x"), more=", u: {certificates: [{authority: b}], poll: [x]}"), []),
)  # fmt: skip


class DoubtTests(SynchronousTestCase):
    """
    What may be a slip.
    """

    def test_doubts(self) -> None:
        """
        Users and tokens without a role are named, and roles of users and tokens
        that there are not, of nobody, or for nothing; and CAs that can make
        certificates for each other's names.
        """
        for text, expected in DOUBTS:
            self.assertEqual(list(rolesOf(text).doubts), expected, text)

    def test_bearers(self) -> None:
        """
        What is read of a certificate without a name holds for all of its CA.
        """
        [found] = rolesOf(role("certificates: [{authority: a}]")).roles
        self.assertEqual(found.bearers, (Bearer("a"),))
