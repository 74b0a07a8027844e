"""
Tests for L{pushprox.proxy.access}: decisions, as tables.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pushprox.authorities import Shown
from pushprox.proxy.access import (
    EVERYTHING,
    NONE,
    PAGES,
    Access,
    Asker,
    Bearer,
    Globs,
    Role,
)


def shown(authority: str, *names: str, number: int = 1, until: float = 1e9) -> Shown:
    """
    @return: a certificate of this CA with these names.
    """
    return Shown(authority, frozenset(names), until, ((b"issuer", number),))


ALICE = Asker(user="alice")
TOKEN = Asker(token="web-1")
WEB = Asker(certificate=shown("a", "web-1", "web-2"))
NAMELESS = Asker(certificate=shown("a"))
OTHER = Asker(certificate=shown("b", "web-1"))
NEAR = Asker(source=ip_address("10.1.2.3"))
NEAR6 = Asker(source=ip_address("2001:db8::1"))
NOBODY = Asker()

#: All of them, by what the tables call them.
ASKERS = {
    "alice": ALICE,
    "token": TOKEN,
    "web": WEB,
    "nameless": NAMELESS,
    "other": OTHER,
    "near": NEAR,
    "near6": NEAR6,
    "nobody": NOBODY,
}

#: Patterns, and what they do and do not match.
GLOBS: tuple[tuple[list[str], str, str], ...] = (
    ([], "", "a *"),
    (["web-1"], "web-1", "web-12 xweb-1 web- web-1. WEB-1 web-1\n"),
    (["WEB-1", "x."], "WEB-1 x.", "web-1 x"),
    (["web-*"], "web- web-1 web-a.b web-a:b web-*", "web xweb-1 Web-1"),
    (["*"], "a a.b web-1", ""),
    (["**"], "a a.b", ""),
    (
        ["*.a.example"],
        "x.a.example x.y.a.example",
        "a.example xa.example x.a.example.b",
    ),
    (["web?1"], "web-1 web.1 web11", "web1 web--1"),
    (["?"], "a", "ab"),
    (["a", "b*"], "a b bc", "ab c a|b"),
    (["ab", "a"], "ab a", "abc aab"),
    (["a.c"], "a.c", "abc"),
    (["[ab]", "a|b", "(c)", "d+", "\\*"], "[ab] a|b (c) d+ \\ \\x", "a b c d dd *"),
    (["a*b*c"], "abc aXbYc abbcc abcbc", "acb abcb ab ac"),
    (["*a*a*"], "aa xaxax aaa", "a xax"),
    (["a*b?c*d"], "ab.cd axbbxcd abxcxd abb.cd", "abcd acd"),
)


class GlobsTests(SynchronousTestCase):
    """
    Tests for L{Globs}.
    """

    def test_matches(self) -> None:
        """
        A star stands for any characters, a question mark for one, and all else
        for itself; one pattern has to match all of a name.
        """
        for patterns, matching, others in GLOBS:
            globs = Globs(patterns)
            for names, isMatch in ((matching, True), (others, False)):
                for name in names.split(" ") if names else ():
                    self.assertIs(globs.has(name), isMatch, (patterns, name))

    def test_empty(self) -> None:
        """
        No patterns match nothing, not even an empty name.
        """
        self.assertFalse(NONE.has(""))
        self.assertFalse(Globs().has(""))
        self.assertTrue(Globs(["*"]).has(""))
        self.assertTrue(Globs(iter(["a", "b"])).has("b"))
        self.assertFalse(Globs(["a"]).has(""))
        self.assertTrue(Globs(["a*"]).has("a\nb"))

    def test_manyStars(self) -> None:
        """
        However many stars a pattern has, a name is compared in no time: it is
        not looked again for what was found between two.
        """
        self.assertFalse(Globs(["*-" * 30 + "x"]).has("-" * 250))
        self.assertTrue(Globs(["*-" * 30 + "*"]).has("-" * 250))


#: What a role is given for, and who has it.
WHOSE: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, ""),
    ({"scrape": Globs("*"), "poll": Globs("*"), "pages": frozenset(PAGES)}, ""),
    ({"anyone": True}, " ".join(ASKERS)),
    ({"users": Globs(["alice"])}, "alice"),
    ({"users": Globs(["Alice", "alic", "web-1"])}, ""),
    ({"users": Globs(["*"])}, "alice"),
    ({"tokens": Globs(["web-*"])}, "token"),
    ({"tokens": Globs(["alice"])}, ""),
    ({"bearers": (Bearer("a"),)}, "web nameless"),
    ({"bearers": (Bearer("c"),)}, ""),
    ({"bearers": (Bearer("a", Globs(["web-2"])),)}, "web"),
    ({"bearers": (Bearer("a", Globs(["*"])),)}, "web"),
    ({"bearers": (Bearer("a", NONE),)}, ""),
    ({"bearers": (Bearer("b", Globs(["web-2"])),)}, ""),
    ({"bearers": (Bearer("c"), Bearer("b", Globs(["w*"])))}, "other"),
    ({"networks": (ip_network("10.1.0.0/16"),)}, "near"),
    ({"networks": (ip_network("10.2.0.0/16"),)}, ""),
    ({"networks": (ip_network("0.0.0.0/0"),)}, "near"),
    ({"networks": (ip_network("::/0"),)}, "near6"),
    ({"networks": (ip_network("10.2.0.0/16"), ip_network("10.1.2.3"))}, "near"),
    ({"users": Globs(["alice"]), "bearers": (Bearer("b"),)}, "alice other"),
)

#: What a role says of names, and who may by it poll as which of these.
POLLS: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
    ({}, {}),
    ({"poll": Globs(["web-*"])}, dict.fromkeys(ASKERS, "web-1 web-2 web-3")),
    (
        {"poll": Globs(["*"]), "fromCertificate": True},
        {"web": "web-1 web-2", "other": "web-1"},
    ),
    (
        {"poll": Globs(["web-2", "web-3", "db"]), "fromCertificate": True},
        {"web": "web-2"},
    ),
    ({"fromCertificate": True}, {}),
    ({"poll": Globs(["*"]), "fromToken": True}, {"token": "web-1"}),
    ({"poll": Globs(["db"]), "fromToken": True}, {}),
)


class RoleTests(SynchronousTestCase):
    """
    Tests for L{Role} and L{Bearer}.
    """

    def test_whose(self) -> None:
        """
        A role is had by whom one of its conditions fits, and by nobody else.
        """
        for what, who in WHOSE:
            role = Role("r", **what)
            for name, asker in ASKERS.items():
                self.assertIs(role.isOf(asker), name in who.split(), (what, name))

    def test_polls(self) -> None:
        """
        The names that may be polled as are those that a pattern matches; of
        these, if so said, those in the certificate, or the token's.
        """
        for what, expected in POLLS:
            role = Role("r", **what)
            for who, asker in ASKERS.items():
                granted = [
                    name
                    for name in ("web-1", "web-2", "web-3", "db")
                    if role.grantsPoll(asker, name)
                ]
                self.assertEqual(" ".join(granted), expected.get(who, ""), (what, who))

    def test_spelledTokens(self) -> None:
        """
        The name of a token may be spelled like that of a client: case and a dot
        at its end do not count.
        """
        role = Role("r", poll=Globs(["*"]), fromToken=True)
        for token, isGranted in (("Web-1", True), ("web-1.", True), ("web-1-", False)):
            self.assertIs(role.grantsPoll(Asker(token=token), "web-1"), isGranted)


#: Two tenants with a CA each, one that scrapes, and an administrator.
ROLES = (
    Role(
        "tenant-a",
        bearers=(Bearer("a"),),
        poll=Globs(["a-*"]),
        fromCertificate=True,
    ),
    Role(
        "tenant-b",
        bearers=(Bearer("b"),),
        poll=Globs(["b-*"]),
        fromCertificate=True,
    ),
    Role("scraper-a", users=Globs(["alice"]), scrape=Globs(["a-*"])),
    Role("admin", tokens=Globs(["admin"]), pages=frozenset(["clients", "metrics"])),
    Role("near", networks=(ip_network("10.0.0.0/8"),), pages=frozenset(["page"])),
    Role("idle", anyone=True),
)

HERE = ip_address("10.0.0.1")
AWAY = ip_address("192.0.2.1")

#: Who asks; what he may scrape, poll as, and read.
DECISIONS = (
    (Asker(), "", "", ""),
    (Asker(source=AWAY), "", "", ""),
    (Asker(source=HERE), "", "", "page"),
    (Asker(user="alice"), "a-1 a-2", "", ""),
    (Asker(user="alice", source=HERE), "a-1 a-2", "", "page"),
    (Asker(user="admin"), "", "", ""),
    (Asker(token="admin"), "", "", "clients metrics"),
    (Asker(token="alice"), "", "", ""),
    (Asker(certificate=shown("a", "a-1")), "", "a-1", ""),
    (Asker(certificate=shown("a", "a-1", "b-1")), "", "a-1", ""),
    (Asker(certificate=shown("b", "a-1", "b-1")), "", "b-1", ""),
    (Asker(certificate=shown("c", "a-1", "b-1")), "", "", ""),
    (Asker(certificate=shown("a")), "", "", ""),
    (Asker(user="alice", certificate=shown("b", "b-1")), "a-1 a-2", "b-1", ""),
    (
        Asker(token="admin", certificate=shown("a", "a-2"), source=HERE),
        "",
        "a-2",
        "page clients metrics",
    ),
)


def accessOf(asker: Asker, roles: tuple[Role, ...] = ROLES) -> Access:
    """
    @return: what he may, by his roles.
    """
    return Access(asker, tuple(role for role in roles if role.isOf(asker)))


class AccessTests(SynchronousTestCase):
    """
    Tests for L{Access}.
    """

    names = ("a-1", "a-2", "b-1", "c")

    def test_decisions(self) -> None:
        """
        Everybody may do what any of his roles grants, and nothing else. One
        tenant's CA makes no certificate for another's names.
        """
        for asker, scrape, poll, read in DECISIONS:
            access = accessOf(asker)
            self.assertEqual(
                [
                    " ".join(filter(access.mayScrape, self.names)),
                    " ".join(filter(access.mayPoll, self.names)),
                    " ".join(filter(access.mayRead, PAGES)),
                ],
                [scrape, poll, read],
                asker,
            )
            self.assertIs(access.mayScrapeAny, bool(scrape), asker)
            self.assertFalse(access.mayRead("nothing"))
            if poll:
                self.assertTrue(access.mayPollAny)
            if asker.certificate is None:
                self.assertFalse(access.mayPollAny)

    def test_everything(self) -> None:
        """
        Where there are no roles, everybody may do everything; who has none where
        there are some may do nothing.
        """
        for access, isAllowed in (
            (EVERYTHING, True),
            (Access(ALICE), True),
            (Access(ALICE, ()), False),
        ):
            for may in (
                access.mayScrape("a"),
                access.mayPoll("a"),
                access.mayScrapeAny,
                access.mayPollAny,
                *map(access.mayRead, PAGES),
            ):
                self.assertIs(may, isAllowed)

    def test_nobody(self) -> None:
        """
        Who has no user, no token and no certificate is nobody, wherever he is.
        """
        for name, asker in ASKERS.items():
            isNobody = name in ("near", "near6", "nobody")
            self.assertIs(asker.isNobody, isNobody, name)

    def test_identities(self) -> None:
        """
        Somebody is the same wherever he is and with a renewed certificate. Each
        user, token, CA, set of names, and certificate without names is another;
        so is who shows more or less than before, and who shows nothing but has
        other roles.
        """
        both = {"user": "alice", "certificate": shown("a", "x")}
        groups: list[list[Access]] = [
            [EVERYTHING, Access(NEAR)],
            [Access(ALICE), accessOf(ALICE), accessOf(Asker("alice", source=HERE))],
            [accessOf(Asker("Alice"))],
            [accessOf(Asker(token="alice"))],
            [
                accessOf(Asker(certificate=shown("a", "x", "y"))),
                accessOf(Asker(certificate=shown("a", "y", "x", number=2, until=2e9))),
            ],
            [accessOf(Asker(certificate=shown("a", "x")))],
            [accessOf(Asker(certificate=shown("b", "x")))],
            [accessOf(Asker(**both)), accessOf(Asker(**both, source=HERE))],
            [
                accessOf(Asker(certificate=shown("a"))),
                accessOf(Asker(certificate=shown("a", until=2e9))),
            ],
            [accessOf(Asker(certificate=shown("a", number=2)))],
            [accessOf(NOBODY), accessOf(Asker(source=AWAY))],
            [accessOf(NEAR), accessOf(Asker(source=HERE))],
            [Access(NOBODY, ())],
            [Access(NOBODY, tuple(Role(name) for name in ("alice", "b", "c")))],
        ]
        for group in groups:
            self.assertEqual(len({access.identity for access in group}), 1, group)
        for one, other in combinations(groups, 2):
            self.assertNotEqual(one[0].identity, other[0].identity)
        self.assertIsNone(EVERYTHING.identity)
