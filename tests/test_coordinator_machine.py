"""
L{pushprox.proxy.coordinator}, by chance: whatever happens in whatever order,
what must always be true is true.

Knows the design, and no inside of the coordinator: of each scrape it knows what
the outside has seen of it. Where that leaves open whether a receipt counted or
a line was given up already, both are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import count
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pushprox.message import Request
from pushprox.proxy.coordinator import Coordinator, Instruction, Rules
from pushprox.proxy.delivery import Delivery
from pushprox.proxy.refusals import (
    BrokenAnswer,
    Full,
    NotAnswered,
    NotTaken,
    Stopping,
    Superseded,
    UnknownName,
    UnknownScrape,
)
from pushprox.proxy.registration import ABSENT_AFTER, Poll
from tests.test_coordinator import makeDelivery, passTime

#: Seconds, for what rounding does to times.
EPSILON = 1e-6

#: What a run must have seen to be worth its time.
INTERESTING = frozenset(
    [
        "abandoned",
        "answered",
        "answered later",
        "broken",
        "broken later",
        "cancelled while confirmed",
        "cancelled while handed",
        "cancelled while queued",
        "handed",
        "handed again",
        "handed again to another instance",
        "handed at stop",
        "late",
        "late receipt",
        "line broke",
        "no work",
        "not answered",
        "not taken",
        "polls full",
        "queue full",
        "receipt by line",
        "receipt by list",
        "receipt by sole",
        "stopped",
        "stopped later",
        "superseded",
        "takeover",
        "unknown at once",
        "unknown push",
    ]
)

names = st.sampled_from(["t1", "t1", "t1", "t2"])
instances = st.sampled_from([None, None, b"A", b"A", b"B"])
picks = st.integers(0, 9)


@attrs.frozen
class Hand:
    """
    A scrape went out on a line, which is taken for dead after at least
    C{least} and at most C{most} seconds.
    """

    line: Hashable
    instance: bytes | None
    at: float
    least: float
    most: float


@attrs.define(eq=False)
class Scrape:
    """
    A scrape as the outside knows it.

    @ivar confirmed: whether it certainly arrived.
    @ivar perhaps: whether a poll came that may have been its receipt.
    @ivar doubtful: whether a poll of its name ended since it was handed out.
    @ivar doubted: whether one was lost.
    @ivar broke: whether the line broke that it was handed to last.
    @ivar cracked: whether that line broke later, after another reply.
    @ivar hungUp: whether its scraper is gone.
    @ivar delivery: its answer, while that is on its way.
    """

    number: int
    name: str
    request: Request
    deadline: float
    answer: Deferred[Delivery] = attrs.field(init=False)
    id: bytes = attrs.field(init=False)
    hands: list[Hand] = attrs.Factory(list)
    confirmed: bool = False
    perhaps: bool = False
    doubtful: bool = False
    doubted: bool = False
    broke: bool = False
    cracked: bool = False
    hungUp: bool = False
    delivery: Delivery | None = None
    ends: list[Any] = attrs.Factory(list)


@attrs.define(eq=False)
class Receiving:
    """
    A scraper whose answer has begun, and is late.
    """

    machine: CoordinatorMachine
    scrape: Scrape

    def bodyBroke(self) -> None:
        """
        The deadline has come.
        """
        now, deadline = self.machine.now, self.scrape.deadline
        self.machine.hold(now >= deadline - EPSILON, "given up before its time")
        self.machine.see("late")
        self.scrape.ends.append("late")


@attrs.define(eq=False)
class Pushing:
    """
    The push that brings it.
    """

    scrape: Scrape

    def giveUp(self) -> None:
        """
        It hears of that after the scraper.
        """
        assert self.scrape.ends == ["late"]


@attrs.define(eq=False)
class Parked:
    """
    A poll as the outside knows it.
    """

    number: int
    poll: Poll
    answer: Deferred[Instruction | None] = attrs.field(init=False)
    ends: list[Any] = attrs.Factory(list)


class CoordinatorMachine(RuleBasedStateMachine):
    """
    Prometheus, clients of both kinds, networks and a clock, at random.
    """

    reached: Counter[str] = Counter()

    @initialize(
        shared=st.sampled_from([False, False, True]),
        age=st.sampled_from([0.0, 100.0]),
        known=st.sampled_from([True, True, False]),
    )
    def begin(self, shared: bool, age: float, known: bool) -> None:
        """
        A proxy starts, with limits that are soon reached.
        """
        self.clock = Clock()
        self.rules = Rules(
            registrationTimeout=50.0,
            pollsPerInstance=3,
            polls=6,
            queuedPerName=4,
            queued=5,
            shared=shared,
        )
        self.ids: list[bytes] = []
        self.outcomes: list[str] = []
        self.coordinator = Coordinator(
            self.clock,
            self.rules,
            self.makeId,
            lambda word, seconds: self.outcomes.append(word),
        )
        self.scrapes: list[Scrape] = []
        self.polls: list[Parked] = []
        self.numbers = count(1)
        self.wrong: list[str] = []
        self.refusals = self.steps = 0
        self.work: list[tuple[Scrape, Instruction, Parked]] | None = None
        self.lines: set[int] = set()
        self.lastReply: dict[Hashable, Scrape | None] = {}
        self.lastSeen: dict[tuple[str, bytes | None], float] = {}
        self.grace: dict[tuple[str, bytes | None], tuple[float, float]] = {}
        self.slowest: dict[str, float] = {}
        self.holders: dict[str, tuple[bytes | None, float]] = {}
        self.lost: set[tuple[str, bytes | None]] = set()
        self.stopped: Deferred[None] | None = None
        self.ended = False
        self.clock.advance(age)
        if known:
            self.poll("t1", None, 9, "nothing", None, 0.0)

    def makeId(self) -> bytes:
        """
        An id for each scrape that is accepted.
        """
        self.ids.append(b"id-%d" % len(self.ids))
        return self.ids[-1]

    def see(self, what: str) -> None:
        """
        Something worth a test has happened.
        """
        self.reached[what] += 1

    def hold(self, truth: bool, complaint: str) -> None:
        """
        Remember what was wrong: a callback cannot fail a test by itself.
        """
        if not truth:
            self.wrong.append(complaint)

    @property
    def seldom(self) -> bool:
        """
        Whether it is time for something that is refused.
        """
        return self.steps % 5 == 0

    # What the outside knows.

    @property
    def now(self) -> float:
        """
        The time.
        """
        return self.clock.seconds()

    def open(self, name: str | None = None) -> list[Scrape]:
        """
        The scrapes that have not ended.
        """
        return [s for s in self.scrapes if not s.ends and name in (None, s.name)]

    def parked(self, name: str | None = None) -> list[Parked]:
        """
        The polls that have not ended.
        """
        return [p for p in self.polls if not p.ends and name in (None, p.poll.name)]

    def parkedBy(self, name: str, instance: bytes | None) -> list[Parked]:
        """
        The polls of one instance that have not ended, oldest first.
        """
        return [p for p in self.parked(name) if p.poll.instance == instance]

    def isKnown(self, name: str) -> bool:
        """
        Whether a poll of the name is parked or was seen lately.
        """
        return bool(self.parked(name)) or any(
            self.now - seen < self.rules.registrationTimeout
            for (of, _), seen in self.lastSeen.items()
            if of == name
        )

    def queued(self, scrape: Scrape) -> tuple[int, int]:
        """
        Whether a scrape is in the queue, at least and at most.
        """
        if scrape.ends or scrape.confirmed or scrape.delivery:
            return 0, 0
        if not scrape.hands:
            return 1, 1
        if scrape.request.method == b"POST":
            return 0, 0
        hand = scrape.hands[-1]
        certain = 0 if scrape.perhaps else 1
        if scrape.broke or self.now >= hand.at + hand.most + EPSILON:
            return certain, 1
        late = self.now >= hand.at + hand.least - EPSILON
        return 0, int(late or scrape.cracked)

    # The scraper's side.

    @precondition(lambda self: self.stopped is None or self.seldom)
    @rule(
        name=names,
        method=st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST"]),
        budget=st.sampled_from([0.5, 3.0, 9.5, 12.0, 100.0]),
    )
    def scrape(self, name: str, method: bytes, budget: float) -> None:
        """
        Prometheus scrapes.
        """
        number = next(self.numbers)
        request = Request(method, b"http://%s/%d" % (name.encode(), number), (), b"")
        scrape = Scrape(number, name, request, self.now + budget)
        queue = [self.queued(s) for s in self.open(name)]
        try:
            # Under its id at once: it may be handed out before this returns.
            scrape.id = b"id-%d" % len(self.ids)
            self.scrapes.append(scrape)
            scrape.answer = self.coordinator.scrape(name, request, budget)
        except (Stopping, UnknownName, Full) as error:
            self.scrapes.remove(scrape)
            self.refusals += 1
            if self.stopped is not None:
                assert isinstance(error, Stopping)
            elif not self.isKnown(name) and self.now >= self.rules.warmup:
                assert isinstance(error, UnknownName)
                self.see("unknown at once")
            else:
                assert isinstance(error, Full)
                assert (
                    self.coordinator.queued >= self.rules.queued
                    or sum(most for _, most in queue) >= self.rules.queuedPerName
                )
                self.see("queue full")
        else:
            assert self.stopped is None
            assert self.isKnown(name) or self.now < self.rules.warmup
            assert sum(least for least, _ in queue) < self.rules.queuedPerName
            scrape.answer.addBoth(self.scrapeEnds, scrape)

    def scrapeEnds(self, result: Any, scrape: Scrape) -> None:
        """
        A scrape has ended: well or badly, but only once. Or its answer has
        begun.
        """
        if isinstance(result, Delivery) and not result.whole:
            assert scrape.delivery is None
            scrape.delivery = result
            result.receiver = Receiving(self, scrape)
            return
        scrape.ends.append(result)
        if not isinstance(result, Failure):
            return
        error = result.value
        if isinstance(error, CancelledError | BrokenAnswer):
            return
        self.hold(self.now >= scrape.deadline - EPSILON, "failed before its time")
        if isinstance(error, NotAnswered):
            self.see("not answered")
            self.hold(bool(scrape.hands), "nobody had it that did not answer")
        elif isinstance(error, NotTaken):
            self.see("not taken")
            self.hold(not scrape.hands, "somebody did take it")
            seen = [at for (of, _), at in self.lastSeen.items() if of == scrape.name]
            silence = 0.0 if self.parked(scrape.name) else self.now - max(seen)
            self.hold(abs(error.silence - silence) < EPSILON, "wrong silence")
        else:
            self.see("unknown at the deadline")
            self.hold(isinstance(error, UnknownName), f"failed with {error!r}")
            self.hold(not scrape.hands, "somebody did take it")

    @precondition(lambda self: self.open())
    @rule(pick=picks)
    def scraperHangsUp(self, pick: int) -> None:
        """
        Prometheus hangs up.
        """
        scrape = self.open()[pick % len(self.open())]
        state = (
            "confirmed" if scrape.confirmed else "handed" if scrape.hands else "queued"
        )
        scrape.hungUp = True
        if scrape.delivery is not None:
            # As the push does, which hears of it from the scraper's connection.
            scrape.ends.append("abandoned")
            self.coordinator.abandon(scrape.id)
            self.see("abandoned")
            return
        scrape.answer.cancel()
        assert len(scrape.ends) == 1
        self.see(f"cancelled while {state}")

    # The client's side.

    @precondition(lambda self: len(self.parked()) < self.rules.polls or self.seldom)
    @rule(
        name=names,
        instance=instances,
        pick=picks,
        listed=st.sampled_from(["as it should", "as it should", "nothing", "empty"]),
        wait=st.sampled_from([None, None, None, 1.0, 25.0]),
        slip=st.sampled_from([0.0, 0.0, 0.0, 3.0]),
    )
    def poll(
        self,
        name: str,
        instance: bytes | None,
        pick: int,
        listed: str,
        wait: float | None,
        slip: float,
    ) -> None:
        """
        A client polls, on a line that is free or on a new one; with C{slip},
        so many seconds late, when the reactor has not yet run its timers.
        """
        self.clock.rightNow += slip
        used = {p.poll.line for p in self.parked()}
        free: list[int] = sorted(self.lines - used)
        line = free[pick % len(free)] if free and pick < 7 else next(self.numbers)
        self.park(name, instance, line, listed, wait)

    @precondition(lambda self: any(s.hands for s in self.open()))
    @rule(
        pick=picks,
        fresh=st.booleans(),
        listed=st.booleans(),
        late=st.sampled_from([0.0, 2.1]),
    )
    def comeBack(self, pick: int, fresh: bool, listed: bool, late: float) -> None:
        """
        A client that was given a scrape polls as it should, now or late: on the
        line that it came on, or on a new one, with a list or without.
        """
        scrapes = [s for s in self.open() if s.hands]
        scrape = scrapes[pick % len(scrapes)]
        hand = scrape.hands[-1 - pick % len(scrape.hands)]
        passTime(self.clock, late)
        line = hand.line
        if (
            fresh
            or line not in self.lines
            or line in {p.poll.line for p in self.parked()}
        ):
            line = next(self.numbers)
        how = "as it should" if listed else "nothing"
        self.park(scrape.name, hand.instance, line, how, None)

    def park(
        self,
        name: str,
        instance: bytes | None,
        line: int,
        listed: str,
        wait: float | None,
    ) -> None:
        """
        A poll comes in on a line.
        """
        taken = None
        if listed == "empty":
            taken = frozenset[bytes]()
        elif listed == "as it should" and instance is not None:
            taken = frozenset(
                s.id
                for s in self.open()
                if any(h.instance == instance for h in s.hands)
            )
        number = next(self.numbers)
        spelling = f"{name}.{number}"
        parked = Parked(number, Poll(name, spelling, line, instance, taken, wait))
        own = self.parkedBy(name, instance)
        others = self.parked()
        superseded = len(own) >= self.rules.pollsPerInstance
        full = not superseded and len(others) >= self.rules.polls
        ended = self.ended
        if not self.ended:
            self.takeReceipts(parked.poll)
        if not self.ended and not full:
            self.arrive(parked)
        self.work = []
        try:
            parked.answer = self.coordinator.poll(parked.poll)
        except Stopping:
            assert ended
        except Full:
            assert full
            self.see("polls full")
        else:
            assert not ended and not full
            parked.answer.addBoth(self.pollEnds, parked)
            if superseded:
                assert isinstance(own[0].ends[0].value, Superseded)
        # Other polls may have been given work with this one, and heard of it
        # sooner, since nobody can wait for this one before it is made.
        work, self.work = sorted(self.work, key=lambda w: w[0].number), None
        for scrape, instruction, taker in work:
            self.handed(scrape, instruction, taker)
        self.clock.advance(0)

    def arrive(self, parked: Parked) -> None:
        """
        A poll is accepted.
        """
        poll = parked.poll
        key = poll.name, poll.instance
        if not self.parkedBy(*key):
            away = self.now - self.lastSeen.get(key, -ABSENT_AFTER)
            if away >= ABSENT_AFTER - EPSILON:
                self.lost.add(key)
        self.lines.add(poll.line)  # type: ignore[arg-type]
        self.lastSeen[key] = self.now
        self.polls.append(parked)

    def takeReceipts(self, poll: Poll) -> None:
        """
        See which scrapes a poll certainly, or perhaps, confirms.
        """
        handed = [s for s in self.open(poll.name) if s.hands and not s.confirmed]
        if poll.taken is not None:
            for scrape in handed:
                if scrape.id in poll.taken:
                    self.confirm(scrape, "list")
            return
        mine = [s for s in handed if any(h.instance == poll.instance for h in s.hands)]
        last = self.lastReply.get(poll.line)
        if last in mine and any(
            (h.line, h.instance) == (poll.line, poll.instance) for h in last.hands
        ):
            self.confirm(last, "line")
        elif len(handed) == 1 and mine == handed:
            [scrape] = handed
            if self.isAwaited(scrape, poll.instance) and not scrape.doubtful:
                self.confirm(scrape, "sole")
        for scrape in mine:
            others = [
                s for s in mine if s is not scrape and self.isAwaited(s, poll.instance)
            ]
            if any(h.line == poll.line for h in scrape.hands) or not (
                others or scrape.doubted
            ):
                scrape.perhaps = True
                self.learn(scrape)

    def isAwaited(self, scrape: Scrape, instance: bytes | None) -> bool:
        """
        Whether a receipt of this instance is certainly awaited: an answer that
        has begun is one.
        """
        hand = scrape.hands[-1]
        return (
            hand.instance == instance
            and scrape.delivery is None
            and not (scrape.confirmed or scrape.perhaps)
            and not (scrape.broke or scrape.cracked)
            and self.now < hand.at + hand.least - EPSILON
        )

    def confirm(self, scrape: Scrape, how: str) -> None:
        """
        A client certainly has this scrape.
        """
        if self.queued(scrape)[0]:
            self.see("late receipt")
        self.see(f"receipt by {how}")
        if self.now > scrape.hands[-1].at + scrape.hands[-1].least - EPSILON:
            self.lost.add((scrape.name, scrape.hands[-1].instance))
        scrape.confirmed = True
        self.learn(scrape)

    def learn(self, scrape: Scrape) -> None:
        """
        The coordinator may have found that receipts take so long here.
        """
        took = self.now - scrape.hands[0].at
        self.slowest[scrape.name] = max(self.slowest.get(scrape.name, 0.0), took)

    def pollEnds(self, result: Any, parked: Parked) -> None:
        """
        A poll has ended: with work, without, or badly.
        """
        parked.ends.append(result)
        poll = parked.poll
        key = poll.name, poll.instance
        self.lastSeen[key] = self.now
        if isinstance(result, Instruction):
            scrapes = [s for s in self.open() if s.id == result.id]
            self.hold(len(scrapes) == 1, "no such scrape waits")
            if self.work is not None:
                self.work += [(s, result, parked) for s in scrapes]
            else:
                for scrape in scrapes:
                    self.handed(scrape, result, parked)
            return
        self.lastReply[poll.line] = None
        for scrape in self.open(poll.name):
            scrape.doubtful = True
        if result is None:
            self.see("no work")
            self.hold(poll.wait is not None, "nobody asked to be told")
        elif isinstance(result.value, CancelledError):
            for scrape in self.open(poll.name):
                scrape.doubted = True
            if not self.parkedBy(*key):
                self.grace[key] = 0.0, 0.0
                self.lost.add(key)
            return
        elif isinstance(result.value, Superseded):
            self.see("superseded")
            first = [p for p in self.parkedBy(*key) if p.number < parked.number]
            self.hold(not first, "not the oldest was superseded")
        else:
            self.hold(isinstance(result.value, Stopping), f"ended: {result.value!r}")
            waiting = [s for s in self.open() if not s.hungUp]
            self.hold(not waiting, "ended before all scrapes had")
            self.ended = True
        self.comesBack(key, self.rules.receiptWait, self.rules.receiptWait)

    def comesBack(
        self, key: tuple[str, bytes | None], least: float, most: float
    ) -> None:
        """
        An instance is expected to poll again within so many seconds.
        """
        before = self.grace.get(key, (0.0, 0.0))[1]
        self.grace[key] = self.now + least, max(before, self.now + most)

    def handed(self, scrape: Scrape, instruction: Instruction, parked: Parked) -> None:
        """
        A poll was given work.
        """
        poll = parked.poll
        remaining = scrape.deadline - self.now
        self.hold(scrape.name == poll.name, "another's scrape was handed out")
        self.hold(instruction.request is scrape.request, "another request came out")
        self.hold(instruction.spelling == poll.spelling, "spelled as another did")
        self.hold(abs(instruction.remaining - remaining) < EPSILON, "wrong remainder")
        self.hold(instruction.remaining > 0, "nothing remained")
        self.hold(not scrape.confirmed, "a confirmed scrape was handed out")
        self.hold(scrape.delivery is None, "an answered scrape was handed out")
        if scrape.hands:
            self.see("handed again")
            self.hold(scrape.request.method != b"POST", "a POST was handed out twice")
            last = scrape.hands[-1]
            self.hold(
                scrape.broke
                or scrape.cracked
                or self.now >= last.at + last.least - EPSILON,
                "the line before had no time to show that it is alive",
            )
            if last.instance != poll.instance:
                self.see("handed again to another instance")
        self.see("handed")
        if self.stopped is not None:
            self.see("handed at stop")
        for other in self.open(scrape.name):
            ahead = other.number < scrape.number
            waits = not other.hands or (other.broke and self.queued(other) == (1, 1))
            expired = other.deadline <= self.now
            self.hold(not (ahead and waits) or expired, "not in order")
        self.hold(
            not [
                p
                for p in self.parkedBy(poll.name, poll.instance)
                if p.number > parked.number
            ],
            "not to the newest poll",
        )
        self.mayHave(poll.name, poll.instance)

        least = min(self.rules.receiptWait, remaining / 3)
        most = max(least, min(2 * self.slowest.get(poll.name, 0.0), remaining / 2))
        scrape.hands.append(Hand(poll.line, poll.instance, self.now, least, most))
        scrape.perhaps = scrape.doubtful = scrape.doubted = False
        scrape.broke = scrape.cracked = False
        self.lastReply[poll.line] = scrape
        self.comesBack((poll.name, poll.instance), least, most)

    def mayHave(self, name: str, instance: bytes | None) -> None:
        """
        One instance at a time has a name, and keeps it while it polls, and
        between two polls; unless a line of it was found dead.
        """
        holder, since = self.holders.get(name, (instance, self.now))
        if holder != instance and not self.rules.shared:
            self.see("takeover")
            found = (name, holder) in self.lost or any(
                self.now >= hand.at + hand.least - EPSILON
                for scrape in self.scrapes
                for hand in scrape.hands
                if scrape.name == name
                and hand.instance == holder
                and hand.at + hand.most >= since - EPSILON
                and not (scrape.confirmed and hand is scrape.hands[-1])
            )
            back = self.grace[name, holder][0] > self.now + EPSILON
            polls = bool(self.parkedBy(name, holder))
            self.hold(found or not (polls or back), "taken from who had the name")
        if holder != instance or name not in self.holders:
            self.holders[name] = instance, self.now
            self.lost.discard((name, instance))

    @precondition(lambda self: self.parked())
    @rule(pick=picks)
    def clientHangsUp(self, pick: int) -> None:
        """
        The line of a parked poll is gone.
        """
        parked = self.parked()[pick % len(self.parked())]
        self.lines.discard(parked.poll.line)  # type: ignore[arg-type]
        parked.answer.cancel()
        assert len(parked.ends) == 1

    @precondition(lambda self: self.lines)
    @rule(pick=picks)
    def lineBreaks(self, pick: int) -> None:
        """
        A line breaks, and with it what was written to it last. (That a parked
        poll was on it, another rule tells.)
        """
        used = {p.poll.line for p in self.parked()}
        lines = [line for line in sorted(self.lines) if line not in used]
        if not lines:
            return
        line = lines[pick % len(lines)]
        self.lines.discard(line)
        for scrape in self.open():
            if scrape.hands and scrape.hands[-1].line == line:
                self.lost.add((scrape.name, scrape.hands[-1].instance))
                if self.lastReply[line] is scrape:
                    self.see("line broke")
                    if self.isAwaited(scrape, scrape.hands[-1].instance):
                        # Whoever had the name has lost it.
                        key = scrape.name, scrape.hands[-1].instance
                        self.grace[key] = 0.0, 0.0
                    scrape.broke = True
                else:
                    scrape.cracked = True
        self.coordinator.lineBroke(line)

    @precondition(
        lambda self: self.scrapes and (self.seldom or any(s.hands for s in self.open()))
    )
    @rule(
        pick=picks,
        breaks=st.sampled_from([False, False, False, False, True]),
        whole=st.sampled_from([False, False, False, True]),
    )
    def answer(self, pick: int, breaks: bool, whole: bool) -> None:
        """
        A client answers a scrape that it was given, whole or not yet; or one
        that has ended, or that nobody was given, or that another push answers.
        """
        handed = [s for s in self.open() if s.hands]
        some = handed if handed and pick < 8 else self.scrapes
        scrape = some[-1 - pick % len(some)]
        id = scrape.id
        waits = not scrape.ends and scrape.delivery is None
        expected = bool(scrape.hands) and waits
        if expected and self.queued(scrape)[0]:
            self.see("answered while queued again")
        if expected:
            self.learn(scrape)
        delivery = makeDelivery()
        if not whole:
            delivery = attrs.evolve(delivery, source=Pushing(scrape))
        try:
            if breaks:
                self.coordinator.breakOff(id, "cut", "off")
            else:
                assert not expected or (self.coordinator.expected(id) is scrape.request)
                self.coordinator.push(id, delivery)
        except UnknownScrape:
            assert not expected
            self.see("unknown push")
            return
        assert expected
        if scrape.delivery is not None:
            assert scrape.delivery is delivery
            assert not scrape.ends
            return
        assert len(scrape.ends) == 1
        if breaks:
            assert isinstance(scrape.ends[0].value, BrokenAnswer)
            self.see("broken")
        else:
            assert scrape.ends[0] is delivery
            self.see("answered")

    @precondition(
        # Not as soon as it has begun, or none would ever be late.
        lambda self: self.steps % 4 and any(s.delivery for s in self.open())
    )
    @rule(pick=picks, breaks=st.booleans())
    def answerEnds(self, pick: int, breaks: bool) -> None:
        """
        An answer that has begun comes whole, or breaks off.
        """
        begun = [s for s in self.open() if s.delivery]
        scrape = begun[pick % len(begun)]
        if breaks:
            scrape.ends.append("broken")
            self.coordinator.cutShort(scrape.id)
        else:
            scrape.ends.append("whole")
            self.coordinator.delivered(scrape.id)
        self.see("broken later" if breaks else "answered later")

    # Time, and the end of it.

    @rule(
        seconds=st.sampled_from(
            [0.1, 0.5, 0.5, 1.0, 1.0, 1.9, 2.1, 2.1, 5.0, 35.0, 80.0]
        ),
        smoothly=st.booleans(),
    )
    def timePasses(self, seconds: float, smoothly: bool) -> None:
        """
        Time passes: smoothly, or at one blow, when the reactor was busy.
        """
        if smoothly:
            passTime(self.clock, seconds)
        else:
            self.clock.advance(seconds)

    @precondition(lambda self: self.stopped is None and self.steps > 35)
    @rule()
    def stop(self) -> None:
        """
        The proxy is told to stop.
        """
        self.see("stopped later" if self.open() else "stopped")
        self.stopped = self.coordinator.stop()
        self.stopped.addCallback(self.hasStopped)

    def hasStopped(self, result: None) -> None:
        """
        The proxy takes no polls any more.
        """
        self.ended = True

    # What must always be true.

    @invariant()
    def always(self) -> None:
        """
        After every step all of it is looked at.
        """
        self.steps += 1
        assert not self.wrong, self.wrong
        self.stopsWhenAllIsDone()
        self.countersAreRight()
        self.limitsHold()
        self.endsOnce()
        self.nobodyWaitsInVain()
        self.namesAreKnown()
        self.contestsAreSeen()

    def countersAreRight(self) -> None:
        """
        The counters tell what the outside has seen.
        """
        assert self.coordinator.parked == len(self.parked())
        assert self.coordinator.inFlight == len(self.open())
        bounds = [self.queued(s) for s in self.open()]
        assert sum(least for least, _ in bounds) <= self.coordinator.queued
        assert self.coordinator.queued <= sum(most for _, most in bounds)
        ended = len(self.scrapes) - len(self.open())
        assert len(self.outcomes) == ended + self.refusals

    def limitsHold(self) -> None:
        """
        Nobody parks more than he may.
        """
        assert self.coordinator.parked <= self.rules.polls
        for name, instance in self.lastSeen:
            assert len(self.parkedBy(name, instance)) <= self.rules.pollsPerInstance

    def endsOnce(self) -> None:
        """
        Scrapes and polls end once, and scrapes no later than their deadline.
        """
        for scrape in self.scrapes:
            assert len(scrape.ends) <= 1
        for parked in self.polls:
            assert len(parked.ends) <= 1
        for scrape in self.open():
            assert self.now < scrape.deadline

    def nobodyWaitsInVain(self) -> None:
        """
        No scrape waits in the queue while a poll waits that may have it: one of
        whoever has the name, or of anybody, if that one did not come back.
        """
        for scrape in self.open():
            parked = self.parked(scrape.name)
            if not parked or self.queued(scrape) != (1, 1):
                continue
            polling = {p.poll.instance for p in parked}
            assert not self.rules.shared
            assert any(
                self.now <= until + EPSILON
                for (name, instance), (_, until) in self.grace.items()
                if name == scrape.name and instance not in polling
            ), "a scrape waits, and so does a poll"

    def namesAreKnown(self) -> None:
        """
        The known names are those that are polled for, or were lately.
        """
        if self.ended:
            return
        known = {r.name: r.connected for r in self.coordinator.known()}
        assert known == {
            name: bool(self.parked(name)) for name in ("t1", "t2") if self.isKnown(name)
        }

    def contestsAreSeen(self) -> None:
        """
        Contested names are those that several instances poll for, or did until
        a moment ago, unless they are meant to share them.
        """
        if self.rules.shared:
            assert self.coordinator.contested == 0
            return
        least = most = 0
        for name in ("t1", "t2"):
            least += len({p.poll.instance for p in self.parked(name)}) > 1
            recent = {
                instance
                for (of, instance), seen in self.lastSeen.items()
                if of == name
                and (self.parkedBy(of, instance) or self.now - seen < ABSENT_AFTER + 11)
            }
            most += len(recent) > 1
        if not self.ended:
            assert least <= self.coordinator.contested <= most

    def stopsWhenAllIsDone(self) -> None:
        """
        A proxy that stops has stopped when the last scrape has ended.
        """
        if self.stopped is not None:
            assert self.ended == (not self.open())
        if self.ended:
            assert self.coordinator.quiet
            assert self.clock.getDelayedCalls() == []

    def teardown(self) -> None:
        """
        When everybody has hung up and every time is over, nothing is left.
        """
        for scrape in self.open():
            scrape.hungUp = True
            if scrape.delivery is not None:
                self.coordinator.abandon(scrape.id)
            scrape.answer.cancel()
        for parked in self.parked():
            parked.answer.cancel()
        passTime(self.clock, 500)
        assert not self.wrong, self.wrong
        assert self.coordinator.quiet
        assert self.clock.getDelayedCalls() == []
        assert len(self.outcomes) == len(self.scrapes) + self.refusals


class MachineTests(SynchronousTestCase):
    """
    The machine runs, and gets about.
    """

    def test_always(self) -> None:
        """
        What must always be true is, and a run sees everything worth seeing.
        """
        CoordinatorMachine.reached.clear()
        run_state_machine_as_test(
            CoordinatorMachine,
            settings=settings(max_examples=300, stateful_step_count=60),
        )
        self.assertEqual(INTERESTING - set(CoordinatorMachine.reached), set())
