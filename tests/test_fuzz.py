"""
Whatever comes from the network or from the operator, it is taken or refused in one
clear way: all that reads some text, by Hypothesis. (HTTP itself, and the messages
within, have such tests of their own.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.deadlines import TIMEOUT_HEADER, timeoutFromHeader
from pushprox.durations import duration
from pushprox.headers import isText
from pushprox.names import TargetUrl, canonicalName, nameFromText
from pushprox.passwords import readBasic
from pushprox.proxy.poll import listedIds, readName
from pushprox.proxy.scrape import Timeouts, readTarget
from pushprox.webconfig import readWebConfig
from tests.rigs import ProxyRig, heard, pollBytes, scrapeBytes
from tests.test_guard import FOR_OWNER, FOR_PROXY, USERS, page, statusOf, with_
from tests.test_passwords import basic
from tests.test_webconfig import ALL, HASH, PATH

LIMIT = 253


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """
    @return: one of them, with a few places exchanged for something else.
    """
    edits = st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 12), st.binary(max_size=4)),
        max_size=4,
    )

    def mutate(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for place, length, instead in changes:
            at = place % (len(seed) + 1)
            seed = seed[:at] + instead + seed[at + length :]
        return seed

    return st.builds(mutate, st.sampled_from(seeds), edits)


def values(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """
    @return: what may be a header's value, more or less like one of these.
    """
    seen = mutated(list(seeds)) | st.binary(max_size=40)
    return seen.map(lambda value: value.strip(b" \t")).filter(isText)


class ReadingTests(SynchronousTestCase):
    """
    What is read without a network.
    """

    def refused(self, read: Callable[[], object]) -> bool:
        """
        @return: whether it is refused: by a ValueError, which says why in one line
            that can be printed anywhere.
        """
        try:
            read()
        except ValueError as error:
            self.assertTrue(str(error).isprintable(), str(error))
            return True
        return False

    @given(mutated([b"t1", b"web-1.example.org.", b"10.0.0.1", b"fd00::1", b" T1\r\n"]))
    @example(b"a" * 10_000_000)
    @example(b".")
    def test_names(self, text: bytes) -> None:
        """
        What is taken for a name has no more than it may, nothing that ends a URL or
        a line, and is the same name however often it is read.
        """
        if self.refused(lambda: nameFromText(text, LIMIT)):
            return
        spelling, name = readName(text, LIMIT)
        self.assertEqual(canonicalName(name), name.removesuffix("."))
        self.assertEqual(readName(spelling.encode("ascii"), LIMIT), (spelling, name))
        self.assertLessEqual(len(spelling), LIMIT)
        self.assertRegex(spelling, r"\A[!-~]+\Z")
        self.assertFalse(set(spelling) & set("/?#@[]\\\"'<>"))

    @given(
        mutated(
            [
                b"http://t1:9100/metrics",
                b"HTTPS://[fd00::1]/?a=b&_scheme=https",
                b"t1:443",
                b"http://t1@t2:1/",
            ]
        )
    )
    @example(b"http://" + b"a" * 100_000)
    def test_urls(self, url: bytes) -> None:
        """
        What is taken for a URL says whose it is, and is written as it was read.
        """
        if self.refused(lambda: readTarget(url, LIMIT)):
            return
        target, name = readTarget(url, LIMIT)
        self.assertEqual(TargetUrl.fromBytes(target.toBytes()), target)
        self.assertEqual(name, canonicalName(target.host))
        for part in target.spelled(target.host):
            self.assertNotRegex(part, rb"[\x00-\x20#@\x7f]")

    @given(st.text(max_size=20) | st.text("0123456789.hmsundwy\u00b5", max_size=12))
    @example("1" * 5000 + "s")
    def test_durations(self, text: str) -> None:
        """
        A duration is a number of seconds that can be waited for.
        """
        read: list[float] = []
        if self.refused(lambda: read.append(duration(text))):
            return
        self.assertTrue(0 <= read[0] < 300 * 365 * 86400)

    @given(values(b"10", b"9.5", b"1e3", b".5", b"-1", b"inf", b"NaN"))
    @example(b"1e999")
    @example(b"9" * 5000)
    def test_timeouts(self, value: bytes) -> None:
        """
        A scrape's timeout counts if it is a number above 0, and is not longer than
        it may be; the scrape always has some time.
        """
        seconds = timeoutFromHeader(value)
        self.assertTrue(seconds is None or 0 < seconds < math.inf)
        self.assertTrue(0 < Timeouts().budget(value) <= Timeouts().maximum)

    @given(values(basic(b"alice", b"wonder:land"), b"Bearer abc", b"Basic", b"basic "))
    def test_credentials(self, value: bytes) -> None:
        """
        A user has no colon in it, and nothing of what was sent is lost.
        """
        said = readBasic(value)
        if said is not None:
            self.assertNotIn(b":", said[0])
            self.assertEqual(readBasic(basic(*said)), said)

    @given(values(b"a, b,c", b",", b""))
    def test_ids(self, value: bytes) -> None:
        """
        Ids in a list are without what is around them.
        """
        for id in listedIds(value):
            self.assertEqual(id, id.strip())
            self.assertNotIn(b",", id)

    @given(
        mutated(
            [
                ALL.encode(),
                f"basic_auth_users: {{alice: {HASH}, bob: '{HASH}'}}".encode(),
                f"tls_server_config: {{cert: c, key: {HASH}}}".encode(),
            ]
        )
    )
    @example(b"basic_auth_users: {alice:%b}" % HASH.encode())
    @example(b"basic_auth_users: {%b: alice}" % HASH.encode())
    @example(b"basic_auth_users: {alice: *%b}" % HASH.encode())
    @example(b"basic_auth_users: {alice: !%b}" % HASH.encode())
    @example(b"tls_server_config: {key:%b}" % HASH.encode())
    @example(b"alice: %b\nalice: %b" % (HASH.encode(), HASH.encode()))
    @example(b"%b: alice" % HASH.encode())
    @example(b"tls_server_config: {client_auth_type: %b}" % HASH.encode())
    @example(b"rate_limit: {interval: %b}" % HASH.encode())
    @example(b"rate_limit: {burst: %b}" % HASH.encode())
    def test_webConfigs(self, text: bytes) -> None:
        """
        A web config file that is somewhat wrong is refused in one line, which names
        the file and no secret.
        """
        try:
            config = readWebConfig(text, PATH)
        except ValueError as error:
            said = str(error)
            self.assertTrue(said.startswith(f"{PATH}: "), said)
            self.assertTrue(said.isprintable(), said)
        else:
            said = repr(config)
        self.assertNotIn(HASH[10:40], said)


class AskingTests(SynchronousTestCase):
    """
    What is said to a proxy.
    """

    rig: ProxyRig

    def assertWell(self) -> None:
        """
        The proxy still serves, and has nothing left of what was.
        """
        self.rig.net.pass_(60)
        for name in ("parked_polls", "queued_scrapes", "scrapes_in_flight"):
            self.assertEqual(self.rig.metric(f"pushprox_proxy_{name}"), 0, name)
        self.assertEqual(statusOf(self.rig.ask(page(b"/-/healthy"))), 200)

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    b"Prefer",
                    b"Pushprox-Instance",
                    b"Pushprox-Taken",
                    b"Pushprox-Version",
                    b"Pushprox-Max-Polls",
                    b"Pushprox-Anything",
                ]
            ),
            values(b"wait=25", b"wait=1, x", b"0123456789abcdef", b"a, b", b"16"),
        )
    )
    def test_polls(self, headers: dict[bytes, bytes]) -> None:
        """
        Whatever a client says beside its name, its poll is parked, and gets the
        scrape that comes.
        """
        self.rig = ProxyRig(self)
        lines = b"".join(b"%b: %b\r\n" % field for field in headers.items())
        poll = self.rig.poll(headers=lines)
        self.assertEqual(heard(poll), b"")
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 1)
        scrape = self.rig.scrape()
        self.assertEqual(statusOf(heard(poll)), 200)
        for talker in (poll, scrape):
            self.rig.hangUp(talker)
        self.assertWell()
        self.doCleanups()

    @given(mutated([b"t1", b"web-1.example.org.", b"fd00::1"]))
    def test_names(self, name: bytes) -> None:
        """
        A poll is parked, or its name is none: then that is said, and nothing is
        left.
        """
        self.rig = ProxyRig(self)
        poll = self.rig.talk(pollBytes(name))
        answer = heard(poll)
        parked = self.rig.metric("pushprox_proxy_parked_polls")
        self.assertEqual((statusOf(answer), parked), (400, 0) if answer else (0, 1))
        self.rig.hangUp(poll)
        self.assertWell()
        self.doCleanups()

    @given(values(b"10", b"9.5", b"1e-9", b"-1", b"inf", b"1e999"))
    def test_timeouts(self, value: bytes) -> None:
        """
        Whatever a scraper says of its timeout, its scrape ends with a 504.
        """
        self.rig = ProxyRig(self)
        self.rig.hangUp(self.rig.poll())
        request, many = re.subn(
            b"(%b: )[^\r]*" % TIMEOUT_HEADER,
            lambda found: found[1] + value,
            scrapeBytes(),
        )
        self.assertEqual(many, 1)
        scrape = self.rig.talk(request)
        for _ in range(310):
            self.rig.net.pass_(1)
            if scrape.received:
                break
        self.assertEqual(statusOf(heard(scrape)), 504)
        self.rig.hangUp(scrape)
        self.assertWell()
        self.doCleanups()

    @given(
        st.sampled_from([(FOR_OWNER, page(b"/-/ready")), (FOR_PROXY, scrapeBytes())]),
        values(basic(b"alice", b"wonderlanD"), b"Basic", b"Basic YQ==", b"Bearer x"),
    )
    def test_credentials(self, asked: tuple[bytes, bytes], value: bytes) -> None:
        """
        Who does not say a right password stays outside, by the status that is for
        what was asked.
        """
        field, request = asked
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(USERS)
        self.rig = ProxyRig(self, web=Path(path))
        status = statusOf(self.rig.ask(with_(request, field, value)))
        self.assertEqual(status, 407 if field == FOR_PROXY else 401)
        self.assertWell()
        self.doCleanups()
