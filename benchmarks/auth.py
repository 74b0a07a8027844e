"""
What it costs the proxy to ask who comes: the same scrapes by way of proxies that
ask for nothing, for passwords, and for tokens of those that have roles, in turn.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import bcrypt

from benchmarks.body import Body
from benchmarks.comparison import compare
from benchmarks.load import Credentials, Load, throughProxy
from benchmarks.programs import freePort
from benchmarks.setting import Setting
from benchmarks.table import Section, spread
from benchmarks.wire import basic, bearer

#: Bytes of a body, and scrapes at once: where all that is not the body counts most.
SIZE = 10_000
AT_ONCE = 16

#: How many times as many rounds are needed as elsewhere.
TIMES = 3

#: Rounds of bcrypt; each password is hashed once, before anything is measured.
ROUNDS = 4

_PASSWORD = b"correct horse battery staple"


@attrs.frozen
class Way:
    """
    One way to get in.

    @ivar web: what stands in the web config file; L{None} for none.
    """

    name: str
    web: str | None
    credentials: Credentials


def _passwords() -> Way:
    """
    @return: the one with a user for Prometheus and one for the clients: few, as it
        is meant.
    """
    lines = ["basic_auth_users:"]
    for name in (b"prometheus", b"clients"):
        hashed = bcrypt.hashpw(_PASSWORD, bcrypt.gensalt(ROUNDS))
        lines.append(f"  {name.decode()}: {hashed.decode()}")
    client = basic(b"clients", _PASSWORD)
    scraper = basic(b"prometheus", _PASSWORD)
    return Way("passwords", "\n".join(lines), Credentials(scraper, lambda _: client))


def tokenOf(name: bytes) -> bytes:
    """
    @return: the token of a client, which need not be secret here, but as long as
        others.
    """
    return urlsafe_b64encode(sha256(b"token of " + name).digest()).rstrip(b"=")


def tokensAndRoles(names: Iterable[bytes]) -> str:
    """
    @param names: of clients.
    @return: a web config file with a token for each, by which it may poll under its
        name, and with one for Prometheus, which may scrape all. Metrics are open.
    """
    lines = ["pushprox:", "  tokens:"]
    for name in (b"prometheus", *names):
        digest = sha256(tokenOf(name)).hexdigest()
        lines.append(f"    {name.decode()}: {digest}")
    lines += [
        "  roles:",
        '    scrapers: {tokens: [prometheus], scrape: ["*"]}',
        '    clients: {tokens: ["*-*"], poll: ["*"], from_token: true}',
        "    monitors: {anyone: true, pages: [metrics]}",
    ]
    return "\n".join([*lines, ""])


def _tokens(count: int) -> Way:
    names = (b"target-%d" % number for number in range(count))
    return Way(
        "tokens, roles",
        tokensAndRoles(names),
        Credentials(bearer(tokenOf(b"prometheus")), lambda name: bearer(tokenOf(name))),
    )


def ways(atOnce: int) -> list[Way]:
    """
    @param atOnce: how many clients there are.
    @return: all of them; the first is open.
    """
    return [Way("open", None, Credentials()), _passwords(), _tokens(atOnce)]


def auth(setting: Setting) -> list[Section]:
    """
    Measure them.
    """
    effort = setting.effort
    atOnce = min(AT_ONCE, *effort.atOnce)
    # The difference is small.
    effort = attrs.evolve(effort, pairs=TIMES * effort.pairs)
    setting = attrs.evolve(setting, effort=effort)
    core, body = setting.cores.measured, Body(SIZE)
    kinds: dict[str, Callable[[], AbstractContextManager[Load]]] = {}
    measured = ways(atOnce)
    with TemporaryDirectory() as folder, ExitStack() as running:
        for way in measured:
            port = freePort()
            flags = [f"--web.listen-address=127.0.0.1:{port}"]
            if way.web is not None:
                file = Path(folder, f"{way.name}.yml")
                file.write_text(way.web)
                flags.append(f"--web.config.file={file}")
            proxy = running.enter_context(setting.pushProx.proxy(*flags, core=core))
            proxy.listening(port)
            kinds[way.name] = partial(
                throughProxy, proxy, port, atOnce, body, way.credentials
            )
        comparison = compare(setting, SIZE, atOnce, kinds, "open")
    return [
        Section(
            f"CPU of the proxy per scrape, {comparison.name}",
            ["us", "ratio to open"],
            [
                [
                    way.name,
                    f"{comparison.cpu(way.name) * 1e6:.0f}",
                    spread(comparison.ratios(way.name), ".2f"),
                ]
                for way in measured
            ],
            comparison.raw(),
            [
                "Who polls, who pushes and who scrapes is asked, each time.",
                f"Medians [and spread] of {effort.pairs} rounds, measured in turn.",
            ],
        )
    ]
