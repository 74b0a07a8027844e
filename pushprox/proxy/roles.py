"""
The section C{pushprox} of a web config file: who is who, and who may do what.

Knows its keys, and how to say what is wrong with one. What follows from it is
for L{pushprox.proxy.access} to decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations

import attrs

from pushprox.names import canonicalName
from pushprox.proxy.access import PAGES, Bearer, Globs, Role
from pushprox.sections import BOOLEANS, Section, cut
from pushprox.sources import Network, networkFrom
from pushprox.webconfig import Authority, WebConfig

_SHA256 = re.compile(r"[0-9a-f]{64}")

# Of a name, or of a pattern for names.
_GLOB = re.compile(r"[A-Za-z0-9_~.:*?-]+")


@attrs.frozen
class Roles:
    """
    What stands in the section.

    @ivar roles: all of them.
    @ivar doubts: what may be a slip of whoever wrote it, one line each.
    """

    roles: tuple[Role, ...]
    doubts: tuple[str, ...] = ()

    @cached_property
    def lookAtSource(self) -> bool:
        """
        Whether it matters where a request comes from.
        """
        return any(role.networks for role in self.roles)


def readRoles(section: Section, config: WebConfig, folder: str) -> WebConfig:
    """
    @param section: the one.
    @param config: what stands in the others.
    @param folder: where relative names of files start from.
    @return: the whole of it.
    @raise ValueError: if there is something in it that we do not know, or that
        makes no sense.
    """
    section.onlyHas(("tokens", "authorities", "trusted_proxies", "roles"))
    tokens = _readTokens(section.section("tokens"))
    authorities = _readAuthorities(section.section("authorities"), folder)
    tls = config.tls
    if authorities:
        if tls is None or not tls.clientAuth.verifies:
            section.refuse(
                "authorities",
                "none without a tls_server_config whose client_auth_type verifies,"
                " such as VerifyClientCertIfGiven",
            )
        tls = attrs.evolve(tls, authorities=authorities)
    known = {authority.name for authority in authorities}
    entries = section.section("roles")
    roles = tuple(_readRole(entries, name, known) for name in entries.names)
    config = attrs.evolve(
        config,
        tls=tls,
        tokens=tokens,
        trustedProxies=_readNetworks(section, "trusted_proxies"),
    )
    found = Roles(roles, tuple(_doubts(roles, config)))
    return attrs.evolve(config, roles=found)


def _readTokens(section: Section) -> dict[bytes, str]:
    tokens: dict[bytes, str] = {}
    for name in section.names:
        digest = section.text(name).lower()
        if not _SHA256.fullmatch(digest):
            section.refuse(name, "the SHA-256 of a token, 64 hexadecimal digits")
        other = tokens.setdefault(digest.encode("ascii"), name)
        if other != name:
            section.refuse(name, f"another token than {other}'s")
    return tokens


def _readAuthorities(section: Section, folder: str) -> tuple[Authority, ...]:
    authorities = []
    for name in section.names:
        entry = section.section(name)
        entry.onlyHas(("ca_file", "ca", "crl_file", "crl"))
        certificates = entry.pem("ca", "ca_file", folder)
        if certificates is None:
            entry.refuse("ca_file", "the name of a PEM file with the CA's certificates")
        revoked = entry.pem("crl", "crl_file", folder)
        authorities.append(Authority(name, certificates, revoked))
    return tuple(authorities)


def _readRole(entries: Section, name: str, authorities: set[str]) -> Role:
    section = entries.section(name)
    section.onlyHas(
        (
            "users",
            "tokens",
            "certificates",
            "networks",
            "anyone",
            "scrape",
            "poll",
            "from_certificate",
            "from_token",
            "pages",
        )
    )
    role = Role(
        name=name,
        users=Globs(section.texts("users") or ()),
        tokens=Globs(section.texts("tokens") or ()),
        bearers=tuple(_readBearers(section, authorities)),
        networks=_readNetworks(section, "networks"),
        anyone=section.oneOf("anyone", BOOLEANS, "false"),
        scrape=_readNames(section, "scrape"),
        poll=_readNames(section, "poll"),
        pages=frozenset(section.someOf("pages", {page: page for page in PAGES})),
        fromCertificate=section.oneOf("from_certificate", BOOLEANS, "false"),
        fromToken=section.oneOf("from_token", BOOLEANS, "false"),
    )
    for key, isFrom, whose in (
        ("from_certificate", role.fromCertificate, role.bearers),
        ("from_token", role.fromToken, role.tokens.globs),
    ):
        others = (role.users.globs, role.tokens.globs, role.bearers, role.networks)
        if not isFrom:
            continue
        if not whose or role.anyone or sum(map(bool, others)) > 1:
            section.refuse(key, f"only {key.removeprefix('from_')}s in this role")
        if not role.poll.globs:
            section.refuse("poll", f"patterns for the names that {key} may grant")
    return role


def _readNames(section: Section, key: str) -> Globs:
    globs = section.texts(key) or ()
    for glob in globs:
        if not _GLOB.fullmatch(glob):
            section.refuse(key, f"names or patterns like web-*, got {cut(glob)!r}")
    return Globs(map(canonicalName, globs))


def _readBearers(section: Section, authorities: set[str]) -> Iterator[Bearer]:
    for entry in section.sections("certificates"):
        entry.onlyHas(("authority", "name"))
        authority = entry.text("authority")
        if authority not in authorities:
            entry.refuse("authority", f"one of the authorities, got {cut(authority)!r}")
        names = None
        # An empty one is not the same as none, which lets all of them in.
        if "name" in entry.entries:
            name = entry.text("name")
            if not _GLOB.fullmatch(name):
                entry.refuse(
                    "name", f"a DNS name or a pattern for one, got {cut(name)!r}"
                )
            names = Globs([canonicalName(name)])
        yield Bearer(authority, names)


def _readNetworks(section: Section, key: str) -> tuple[Network, ...]:
    networks = []
    for text in section.texts(key) or ():
        try:
            networks.append(networkFrom(text))
        except ValueError as error:
            section.refuse(key, str(error))
    return tuple(networks)


def _doubts(roles: tuple[Role, ...], config: WebConfig) -> Iterator[str]:
    """
    @return: what may be a slip: no error, since to strike off a user is to leave
        his name in his role, and that must be done at once.
    """
    if not roles:
        yield "there are no roles: nobody may do anything"
    users = [user.decode("utf-8") for user in config.users]
    tokens = list(config.tokens.values())
    for kind, names, of in (
        ("user", users, [role.users for role in roles]),
        ("token", tokens, [role.tokens for role in roles]),
    ):
        for name in names:
            if not any(globs.has(name) for globs in of):
                yield f"{kind} {cut(name)} has no role, and may do nothing of his own"
        for role, globs in zip(roles, of, strict=True):
            for glob in globs.globs:
                if not any(Globs([glob]).has(name) for name in names):
                    whom = f"{kind} {cut(glob)}"
                    yield f"role {role.name} is for {whom}, and there is none"
    for role in roles:
        named = (role.users.globs, role.tokens.globs, role.bearers, role.networks)
        if not role.anyone and not any(named):
            yield f"role {role.name} is for nobody"
        if not (role.scrape.globs or role.poll.globs or role.pages):
            yield f"role {role.name} grants nothing"
    yield from _mintedTwice(roles)


def _mintedTwice(roles: tuple[Role, ...]) -> Iterator[str]:
    """
    @return: which CAs can make certificates for the same names.
    """
    minted: dict[str, list[str]] = {}
    for role in roles:
        for bearer in role.bearers if role.fromCertificate else ():
            minted.setdefault(bearer.authority, []).extend(role.poll.globs)
    globs = [(authority, Globs(its)) for authority, its in minted.items()]
    for (one, its), (other, others) in combinations(globs, 2):
        found = [*filter(its.has, others.globs), *filter(others.has, its.globs)]
        if found:
            yield (
                f"{one} and {other} can both make certificates for names like"
                f" {found[0]}"
            )
