"""
L{pushprox.proxy.coordinator}, by example: scrapes meet polls.

Knows the words of the design and a clock. After every test all that still
waits is hung up, and then nothing may be left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from itertools import count
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pushprox.message import Request, ResponseHead
from pushprox.proxy.coordinator import Coordinator, Rules
from pushprox.proxy.delivery import Delivery
from pushprox.proxy.instruction import Instruction
from pushprox.proxy.refusals import (
    BrokenAnswer,
    Full,
    NotAnswered,
    NotTaken,
    Revoked,
    ScrapeFailed,
    Stopping,
    Superseded,
    UnknownName,
    UnknownScrape,
)
from pushprox.proxy.registration import Poll


def makeRequest(method: bytes = b"GET", path: bytes = b"/metrics") -> Request:
    """
    A scrape as Prometheus sends it.
    """
    return Request(method, b"http://t1:9100" + path, ((b"Accept", b"*/*"),), b"")


def makeDelivery(body: bytes = b"up 1\n") -> Delivery:
    """
    An answer as an exporter gives it, whole.
    """
    return Delivery(ResponseHead(200, b"OK", (), len(body)), len(body), body)


def passTime(clock: Clock, seconds: float) -> None:
    """
    Let time pass, stopping wherever a timer is due. (A clock that is advanced
    at one blow is a reactor that was busy.)
    """
    end = clock.seconds() + seconds
    while calls := clock.getDelayedCalls():
        due = min(call.getTime() for call in calls)
        if due > end:
            break
        clock.advance(max(0.0, due - clock.seconds()))
    clock.advance(end - clock.seconds())


class Creeping(Clock):
    """
    A clock on which looking at it takes a moment, as on every real one, and
    that takes no order for the past, as the real reactor does not.
    """

    def seconds(self) -> float:
        """
        The time, which is later each time.
        """
        self.rightNow += 1e-6
        return super().seconds()

    def callLater(self, when: float, what: Any, *args: Any, **kw: Any) -> Any:
        """
        Refuse the past.
        """
        assert when >= 0, when
        return super().callLater(when, what, *args, **kw)


class CoordinatorCase(SynchronousTestCase):
    """
    A coordinator on a clock, and what people do with it.
    """

    def setUp(self) -> None:
        """
        Begin with a proxy that is past its warm-up.
        """
        self.waiting: list[Deferred[Any]] = []
        self.outcomes: list[tuple[str, float]] = []
        self.refusedPolls: list[str] = []
        self.begin()

    def begin(
        self, age: float = 1000.0, makeClock: type[Clock] = Clock, **rules: Any
    ) -> None:
        """
        Start a proxy, and let it grow so old, in seconds.
        """
        numbers = count(1)
        self.clock = makeClock()
        self.coordinator = Coordinator(
            self.clock,
            Rules(**rules),
            lambda: b"id-%d" % next(numbers),
            lambda word, seconds: self.outcomes.append((word, seconds)),
            self.refusedPolls.append,
        )
        self.clock.advance(age)

    def tearDown(self) -> None:
        """
        Once everybody has hung up and every time is over, nothing stays.
        """
        for deferred in self.waiting:
            deferred.addErrback(lambda failure: None)
            deferred.cancel()
        self.passTime(1000)
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.counts(), (0, 0, 0))

    def passTime(self, seconds: float) -> None:
        """
        Let time pass, as it does.
        """
        passTime(self.clock, seconds)

    def counts(self) -> tuple[int, int, int]:
        """
        How many polls are parked, scrapes queued, and scrapes in flight.
        """
        coordinator = self.coordinator
        return coordinator.parked, coordinator.queued, coordinator.inFlight

    def scrape(
        self,
        name: str = "t1",
        budget: float = 12.0,
        method: bytes = b"GET",
        path: bytes = b"/metrics",
    ) -> Deferred[Delivery]:
        """
        Prometheus scrapes.
        """
        answer = self.coordinator.scrape(name, makeRequest(method, path), budget)
        self.waiting.append(answer)
        return answer

    def poll(
        self,
        line: Hashable,
        instance: bytes | None = None,
        taken: set[bytes] | None = None,
        *,
        name: str = "t1",
        wait: float | None = None,
        identity: str | None = None,
    ) -> Deferred[Instruction | None]:
        """
        A client polls: one of the reference, if it tells nothing.
        """
        listed = None if taken is None else frozenset(taken)
        poll = Poll(name, name.upper(), line, instance, listed, wait, identity)
        answer = self.coordinator.poll(poll)
        self.waiting.append(answer)
        return answer

    def took(self, poll: Deferred[Instruction | None]) -> bytes:
        """
        The id of the scrape that a poll was answered with.
        """
        instruction = self.successResultOf(poll)
        assert instruction is not None
        return instruction.id

    def refused(
        self, kind: type[Exception], call: Callable[..., Any], *rest: Any
    ) -> Any:
        """
        The reason why a call is refused, whether it raises it or hands back a
        failure.
        """
        return self.failureResultOf(maybeDeferred(call, *rest), kind).value

    def push(self, id: bytes, body: bytes = b"up 1\n") -> None:
        """
        A client pushes an answer.
        """
        self.coordinator.push(id, makeDelivery(body))

    def assertAnswered(self, scrape: Deferred[Delivery], body: bytes) -> None:
        """
        The scraper has this answer.
        """
        self.assertEqual(self.successResultOf(scrape).first, body)

    def meet(
        self, line: Hashable, instance: bytes | None = None, taken: Any = None
    ) -> bytes:
        """
        A scrape is handed out on this line.

        @return: its id.
        """
        poll = self.poll(line, instance, taken)
        self.scrape()
        return self.took(poll)

    def assertRepeated(self, id: bytes, line: Hashable = "witness") -> None:
        """
        The scrape is free to go to the next poll that cannot be its receipt.
        """
        self.assertEqual(self.took(self.poll(line, b"witness", set())), id)

    def assertHeldFast(self, id: bytes) -> None:
        """
        The scrape is confirmed: its time passes, and no poll gets it.
        """
        witness = self.poll("witness", b"witness", set())
        self.passTime(7)
        self.assertNoResult(witness)
        self.push(id)


class MeetingTests(CoordinatorCase):
    """
    A scrape, a poll and a push.
    """

    def test_pollFirst(self) -> None:
        """
        A poll that waits takes the next scrape of its name.
        """
        poll = self.poll("L1")
        self.assertNoResult(poll)
        self.assertEqual(self.counts(), (1, 0, 0))
        scrape = self.scrape(path=b"/one")
        self.assertEqual(self.counts(), (0, 0, 1))
        self.assertEqual(
            self.successResultOf(poll),
            Instruction(b"id-1", makeRequest(path=b"/one"), "T1", 12.0),
        )
        self.assertNoResult(scrape)
        self.push(b"id-1", b"one")
        self.assertAnswered(scrape, b"one")
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_scrapeFirst(self) -> None:
        """
        A scrape waits for a poll, which is told what remains of its time.
        """
        self.poll("L0").cancel()
        scrape = self.scrape()
        self.assertEqual(self.counts(), (0, 1, 1))
        self.clock.advance(4)
        instruction = self.successResultOf(self.poll("L1"))
        assert instruction is not None
        self.assertEqual(instruction.remaining, 8.0)
        self.assertEqual(self.counts(), (0, 0, 1))
        self.clock.advance(1)
        self.push(instruction.id)
        self.successResultOf(scrape)
        self.assertEqual(self.outcomes, [("answered", 5.0)])

    def test_order(self) -> None:
        """
        Scrapes go out in the order in which they came.
        """
        self.poll("L0").cancel()
        for _ in range(3):
            self.scrape()
        ids = [self.took(self.poll(line)) for line in ("L1", "L2", "L3")]
        self.assertEqual(ids, [b"id-1", b"id-2", b"id-3"])

    def test_newestPollFirst(self) -> None:
        """
        The newest poll takes the scrape, since it is the likeliest to live.
        """
        older, newer = self.poll("L1"), self.poll("L2")
        self.scrape()
        self.successResultOf(newer)
        self.assertNoResult(older)
        self.scrape()
        self.successResultOf(older)

    def test_ownNameOnly(self) -> None:
        """
        A poll takes no scrape of another name.
        """
        other = self.poll("L2", name="t2")
        mine = self.poll("L1")
        self.scrape()
        self.successResultOf(mine)
        self.assertNoResult(other)

    def test_scraperHangsUpWhileQueued(self) -> None:
        """
        A scrape whose scraper hangs up before a poll comes is never handed out.
        """
        self.poll("L0").cancel()
        self.scrape().cancel()
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertNoResult(self.poll("L1"))
        self.assertEqual(self.outcomes, [("cancelled", 0.0)])

    def test_scraperHangsUpWhileHanded(self) -> None:
        """
        A scrape whose scraper hangs up is not repeated, and its answer is
        refused.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        id = self.took(poll)
        scrape.cancel()
        self.assertEqual(self.counts(), (0, 0, 0))
        self.refused(UnknownScrape, self.push, id)
        witness = self.poll("L2")
        self.passTime(5)
        self.assertNoResult(witness)
        self.assertEqual(self.outcomes, [("cancelled", 0.0)])

    def test_scraperHangsUpWhileConfirmed(self) -> None:
        """
        A scraper may hang up on a client that is at work.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        id = self.took(poll)
        self.poll("L1")
        scrape.cancel()
        self.assertEqual(self.counts(), (1, 0, 0))
        self.refused(UnknownScrape, self.push, id)
        self.assertEqual(self.outcomes, [("cancelled", 0.0)])

    def test_clientHangsUp(self) -> None:
        """
        A poll whose client hung up takes nothing.
        """
        poll = self.poll("L1", wait=25)
        poll.cancel()
        self.assertEqual(self.counts(), (0, 0, 0))
        self.scrape()
        self.assertEqual(self.counts(), (0, 1, 1))

    def test_wait(self) -> None:
        """
        A poll that says how long it waits hears then that there is no work.
        """
        poll = self.poll("L1", wait=25)
        self.clock.advance(24.9)
        self.assertNoResult(poll)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(poll))
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_waitIsOverWithWork(self) -> None:
        """
        A poll that took a scrape has no more to wait for.
        """
        poll = self.poll("L1", wait=1)
        self.scrape()
        self.took(poll)
        self.clock.advance(1)

    def test_answerOnce(self) -> None:
        """
        The first answer wins, and a second is refused.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        id = self.took(poll)
        self.push(id, b"first")
        self.refused(UnknownScrape, self.push, id, b"second")
        self.assertAnswered(scrape, b"first")

    def test_answersNobodyWaitsFor(self) -> None:
        """
        An id that was never given out is refused, also where a scrape of that
        id waits in the queue.
        """
        self.poll("L0").cancel()
        self.scrape()
        for id in (b"id-1", b"nonsense"):
            self.refused(UnknownScrape, self.push, id)
            self.refused(UnknownScrape, self.coordinator.expected, id)
            self.refused(UnknownScrape, self.coordinator.breakOff, id, "cut", "off")
        self.assertEqual(self.counts(), (0, 1, 1))

    def test_expected(self) -> None:
        """
        Whoever reads an answer can ask what the request was.
        """
        poll = self.poll("L1")
        self.scrape(method=b"HEAD")
        self.assertEqual(self.coordinator.expected(self.took(poll)).method, b"HEAD")

    def test_breakOff(self) -> None:
        """
        An answer that broke off fails the scrape, and says so.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        self.clock.advance(1)
        self.coordinator.breakOff(self.took(poll), "broke off", "after 7 bytes")
        error = self.failureResultOf(scrape, BrokenAnswer).value
        self.assertEqual(
            (error.name, error.reason, error.detail),
            ("t1", "broke off", "after 7 bytes"),
        )
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertEqual(self.outcomes, [("broken", 1.0)])


class DeadlineTests(CoordinatorCase):
    """
    No scrape waits for ever, and the reason says whose fault it was.
    """

    def test_unknownName(self) -> None:
        """
        A name that nobody polls for is refused at once, and leaves no trace.
        """
        error = self.refused(UnknownName, self.scrape, "nobody")
        self.assertEqual(error.name, "nobody")
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.outcomes, [("unknown", 0.0)])

    def test_unknownNameDuringWarmup(self) -> None:
        """
        While the proxy is young an unknown name is waited for.
        """
        self.begin(age=29.9)
        scrape = self.scrape()
        self.clock.advance(5)
        poll = self.poll("L1")
        self.push(self.took(poll))
        self.successResultOf(scrape)

    def test_warmupInVain(self) -> None:
        """
        A name that did not turn up by the deadline is as unknown as before.
        """
        self.begin(age=0)
        scrape = self.scrape(budget=10)
        self.passTime(9.9)
        self.assertNoResult(scrape)
        self.passTime(0.2)
        self.assertEqual(self.failureResultOf(scrape, UnknownName).value.name, "t1")
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.outcomes, [("unknown", 10.0)])

    def test_warmupIsOver(self) -> None:
        """
        After the warm-up a name is unknown though older scrapes wait for it.
        """
        self.begin(age=25)
        self.scrape()
        self.clock.advance(5)
        self.refused(UnknownName, self.scrape)

    def test_notTaken(self) -> None:
        """
        A scrape that nobody took says for how long no poll was seen.
        """
        poll = self.poll("L1")
        self.passTime(50)
        poll.cancel()
        self.passTime(5)
        scrape = self.scrape(budget=10)
        self.passTime(10)
        error = self.failureResultOf(scrape, NotTaken).value
        self.assertEqual((error.name, error.silence), ("t1", 15.0))
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertEqual(self.outcomes, [("not_taken", 10.0)])

    def test_notTakenLongAgo(self) -> None:
        """
        The silence is known also when the client has long disappeared.
        """
        self.poll("L1").cancel()
        self.passTime(100)
        scrape = self.scrape(budget=10)
        self.passTime(10)
        self.assertEqual(self.failureResultOf(scrape, NotTaken).value.silence, 110.0)

    def test_notTakenByThoseWhoStandBy(self) -> None:
        """
        There is no silence while another instance stands by.
        """
        self.poll("B1", b"B", set())
        self.clock.advance(1)
        self.meet("A1", b"A", set())
        scrape = self.scrape(budget=1)
        self.passTime(1)
        self.assertEqual(self.failureResultOf(scrape, NotTaken).value.silence, 0.0)

    def test_notAnswered(self) -> None:
        """
        A scrape that a client took and did not answer says so.
        """
        poll = self.poll("L1")
        scrape = self.scrape(budget=10)
        id = self.took(poll)
        self.poll("L1")
        self.passTime(9.9)
        self.assertNoResult(scrape)
        self.passTime(0.2)
        error = self.failureResultOf(scrape, NotAnswered).value
        self.assertEqual(error.name, "t1")
        self.assertAlmostEqual(error.waited, 10.0)
        self.refused(UnknownScrape, self.push, id)
        self.assertEqual(self.outcomes[0][0], "not_answered")

    def test_timeRunsOut(self) -> None:
        """
        A scrape whose time runs out just when it could be handed out is given
        up, and the poll stays.
        """
        for microseconds in range(1, 30):
            self.begin(makeClock=Creeping)
            poll = self.poll("L1")
            scrape = self.scrape(budget=(microseconds - 0.5) * 1e-6)
            failed = bool(scrape.called)
            scrape.addErrback(lambda failure: failure.trap(ScrapeFailed))
            self.assertNotEqual(failed, bool(poll.called))
            self.assertEqual(self.coordinator.parked, int(failed))
            scrape.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
            poll.addErrback(lambda failure: failure.trap(CancelledError)).cancel()

    def test_lateReactor(self) -> None:
        """
        A scrape whose deadline passed while the reactor was busy is given to
        no poll any more, neither to one that comes nor to one that waits, and
        no poll is lost over it.
        """
        self.poll("L1")
        dead = self.poll("L2")
        late = self.scrape(budget=3)
        self.took(dead)
        # The receipt is due after 1 s, the deadline after 3.
        self.clock.advance(8)
        self.failureResultOf(late, NotAnswered)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_pollAheadOfTheDeadline(self) -> None:
        """
        A poll that is read before the timers run does not get a scrape whose
        deadline has passed, but the next one.
        """
        self.poll("L0").cancel()
        late = self.scrape(budget=3)
        self.scrape()
        # Time passes, and the reactor reads sockets first.
        self.clock.rightNow += 4
        self.assertEqual(self.took(self.poll("L1")), b"id-2")
        self.failureResultOf(late, NotTaken)


class ReceiptTests(CoordinatorCase):
    """
    What shows that a scrape arrived, and what does not.
    """

    def test_listed(self) -> None:
        """
        A client that lists a scrape has it, whatever line it says so on.
        """
        id = self.meet("L1", b"A", set())
        self.poll("L2", b"A", {id})
        self.assertHeldFast(id)

    def test_notListed(self) -> None:
        """
        A client that lists its scrapes and not this one does not have it, even
        if it polls on the very line.
        """
        id = self.meet("L1", b"A", set())
        poll = self.poll("L1", b"A", set())
        self.passTime(2.1)
        self.assertEqual(self.took(poll), id)

    def test_sameLine(self) -> None:
        """
        Who polls on a line has read the reply that was there before, also if
        several scrapes await their receipts.
        """
        second, first = self.meetTwo("L1", "L2")
        self.poll("L2").cancel()
        self.passTime(2.1)
        self.assertRepeated(second)
        self.push(first)

    def test_soleUnconfirmed(self) -> None:
        """
        A new line confirms the one scrape that it can be meant for.
        """
        id = self.meet("L1")
        self.poll("L2")
        self.assertHeldFast(id)

    def meetTwo(self, *lines: str) -> list[bytes]:
        """
        Two scrapes are handed out before either has a receipt.

        @return: the id that each line was given.
        """
        polls = [self.poll(line) for line in lines]
        for _ in lines:
            self.scrape()
        return [self.took(poll) for poll in polls]

    def test_severalUnconfirmed(self) -> None:
        """
        Where a new line could be meant for either of two, it confirms none.
        """
        ids = self.meetTwo("L1", "L2")
        polls = [self.poll("L3"), self.poll("L4")]
        self.passTime(2.1)
        self.assertEqual(sorted(map(self.took, polls)), sorted(ids))

    def test_doubtful(self) -> None:
        """
        After a poll was lost a new line may stand for that one, and is no
        receipt.
        """
        other = self.poll("L0")
        id = self.meet("L1")
        other.cancel()
        poll = self.poll("L2")
        self.passTime(2.1)
        self.assertEqual(self.took(poll), id)

    def test_doubtfulAfterAWait(self) -> None:
        """
        Nor is it a receipt when a poll ended because there was no work: the next
        one stands for that.
        """
        self.poll("L0", wait=1.0)
        id = self.meet("L1")
        self.passTime(1.0)
        poll = self.poll("L2")
        self.passTime(1.1)
        self.assertEqual(self.took(poll), id)

    def test_doubtIsOver(self) -> None:
        """
        The doubt ends when the scrape is handed out anew.
        """
        other = self.poll("L0")
        id = self.meet("L1")
        other.cancel()
        poll = self.poll("L2")
        self.passTime(2.1)
        self.took(poll)
        self.poll("L3")
        self.assertHeldFast(id)

    def test_anotherName(self) -> None:
        """
        A poll for another name confirms nothing, not even on the same line or
        with the id in its list.
        """
        id = self.meet("L1")
        self.poll("L1", name="t2")
        self.poll("L2", b"A", {id}, name="t2")
        self.passTime(2.1)
        self.assertRepeated(id)

    def test_clientOfTheReferenceBesideOurs(self) -> None:
        """
        A scrape that our client was given is confirmed by its list alone, and
        not by a client of the reference that polls for the same name.
        """
        id = self.meet("L1", b"A", set())
        poll = self.poll("L2")
        self.passTime(2.1)
        self.assertEqual(self.took(poll), id)

    def test_lineOfALoadBalancer(self) -> None:
        """
        A line that a load balancer lends to one client after the other
        confirms nothing that another instance was given there.
        """
        id = self.meet("L1", b"A", set())
        poll = self.poll("L1")
        self.passTime(2.1)
        self.assertEqual(self.took(poll), id)

    def test_nextParkedPoll(self) -> None:
        """
        A scrape without a receipt goes to the next parked poll, under the id
        that it had.
        """
        live = self.poll("L1")
        id = self.meet("L2")
        self.passTime(1.9)
        self.assertNoResult(live)
        self.passTime(0.2)
        self.assertEqual(self.took(live), id)
        self.assertEqual(self.coordinator.requeued, 1)

    def test_queuedAgain(self) -> None:
        """
        Without a parked poll it is queued again, before those that came later.
        """
        dead = self.meet("L1")
        self.clock.advance(1)
        self.scrape()
        self.assertEqual(self.counts(), (0, 1, 2))
        self.passTime(1.1)
        self.assertEqual(self.counts(), (0, 2, 2))
        self.assertEqual(self.took(self.poll("L2")), dead)

    def test_firstAnswerWins(self) -> None:
        """
        Of a scrape that two clients came to have, the first answer counts,
        whichever line it was handed to.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        id = self.took(poll)
        self.passTime(2.1)
        self.assertEqual(self.took(self.poll("L2", b"A", set())), id)
        self.push(id, b"slow line")
        self.refused(UnknownScrape, self.push, id, b"second line")
        self.assertAnswered(scrape, b"slow line")

    def test_answerWhileQueuedAgain(self) -> None:
        """
        An answer may come while the scrape waits for another poll.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        id = self.took(poll)
        self.passTime(2.1)
        self.assertEqual(self.counts(), (0, 1, 1))
        self.push(id, b"late")
        self.assertAnswered(scrape, b"late")
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertNoResult(self.poll("L2"))

    def test_third(self) -> None:
        """
        A line has at most a third of what remains to show that it is alive, so
        that others can still be tried.
        """
        for line in ("L1", "L2", "L3"):
            self.poll(line)
        dead = self.poll("L4")
        self.scrape(budget=2.7)
        self.took(dead)
        self.passTime(0.89)
        self.assertEqual(self.coordinator.requeued, 0)
        self.passTime(0.02)
        self.assertEqual(self.coordinator.requeued, 1)
        # Of the 1.8 s that are left.
        self.passTime(0.58)
        self.assertEqual(self.coordinator.requeued, 1)
        self.passTime(0.02)
        self.assertEqual(self.coordinator.requeued, 2)

    def test_slowReceipts(self) -> None:
        """
        A client whose receipts take longer is given longer.
        """
        self.meet("L1")
        self.passTime(1.8)
        poll = self.poll("L1")
        self.scrape()
        id = self.took(poll)
        self.passTime(3)
        self.assertEqual(self.coordinator.requeued, 0)
        self.passTime(1)
        self.assertRepeated(id)

    def test_slowReceiptsAreForgotten(self) -> None:
        """
        A client that has become quick is given no more than the others.
        """
        line = self.poll("L1")
        self.scrape()
        self.took(line)
        self.passTime(1.8)
        for _ in range(50):
            line = self.poll("L1")
            self.scrape()
            self.took(line)
        self.passTime(2.1)
        self.assertEqual(self.coordinator.requeued, 1)

    def test_slowReceiptLeavesHalf(self) -> None:
        """
        Even a slow client is waited for no longer than half of what remains.
        """
        self.meet("L1")
        self.passTime(1.8)
        poll = self.poll("L1")
        self.scrape(budget=4)
        self.took(poll)
        self.passTime(1.9)
        self.assertEqual(self.coordinator.requeued, 0)
        self.passTime(0.2)
        self.assertEqual(self.coordinator.requeued, 1)

    def test_lateReceipt(self) -> None:
        """
        A receipt that comes late still counts: the scrape is not handed out
        any more.
        """
        id = self.meet("L1")
        self.passTime(2.5)
        self.assertEqual(self.counts(), (0, 1, 1))
        poll = self.poll("L1")
        self.assertNoResult(poll)
        self.assertEqual(self.counts(), (1, 0, 1))
        self.assertHeldFast(id)

    def test_lateListedReceipt(self) -> None:
        """
        A late receipt counts also while another line is tried.
        """
        id = self.meet("L1", b"A", set())
        self.passTime(2.5)
        self.assertEqual(self.took(self.poll("L2", b"B", set())), id)
        self.poll("L3", b"A", {id})
        self.assertHeldFast(id)

    def test_confirmedByPush(self) -> None:
        """
        An answer is a receipt as well, and teaches how long one takes.
        """
        id = self.meet("L1")
        self.passTime(1.8)
        self.push(id)
        self.meet("L2")
        self.passTime(3)
        self.assertEqual(self.coordinator.requeued, 0)

    def test_slowTarget(self) -> None:
        """
        A confirmed scrape is handed to nobody else, however slow the target.
        """
        poll = self.poll("L1")
        scrape = self.scrape(budget=300)
        id = self.took(poll)
        polls = [self.poll("L1"), self.poll("L2")]
        self.passTime(299)
        for poll in polls:
            self.assertNoResult(poll)
        self.push(id)
        self.successResultOf(scrape)

    def test_noRepeatablePost(self) -> None:
        """
        A POST is handed out once, though its line be dead.
        """
        live = self.poll("L1")
        dead = self.poll("L2")
        scrape = self.scrape(method=b"POST")
        id = self.took(dead)
        self.passTime(11)
        self.assertNoResult(live)
        self.assertNoResult(scrape)
        self.push(id, b"after all")
        self.assertAnswered(scrape, b"after all")

    def test_postIsNotAnswered(self) -> None:
        """
        A POST in a dead line fails at its deadline.
        """
        poll = self.poll("L1")
        scrape = self.scrape(method=b"POST")
        self.took(poll)
        self.coordinator.lineBroke("L1")
        self.passTime(12)
        self.failureResultOf(scrape, NotAnswered)

    def test_repeatableHead(self) -> None:
        """
        A HEAD may be repeated.
        """
        poll = self.poll("L1")
        self.scrape(method=b"HEAD")
        id = self.took(poll)
        self.passTime(2.1)
        self.assertRepeated(id)

    def test_lineBroke(self) -> None:
        """
        A reply that could not be written whole is dead at once.
        """
        live = self.poll("L1")
        id = self.meet("L2")
        self.coordinator.lineBroke("L2")
        self.assertEqual(self.took(live), id)

    def test_lineBrokeWithoutAScrape(self) -> None:
        """
        A line that carries no scrape may break as it likes.
        """
        id = self.meet("L1")
        poll = self.poll("L1")
        for line in ("L1", "L7"):
            self.coordinator.lineBroke(line)
        self.assertNoResult(poll)
        self.assertHeldFast(id)

    def test_twoScrapesOnOneLine(self) -> None:
        """
        A line that carried two scrapes and breaks takes but the last with it:
        the other's time is not over.
        """
        first = self.meet("L1", b"A", set())
        second = self.meet("L1", b"A", set())
        self.passTime(1)
        self.coordinator.lineBroke("L1")
        self.assertEqual(self.coordinator.queued, 1)
        self.assertRepeated(second, "W1")
        self.poll("L2", b"A", {first})
        self.push(first)

    def test_olderScrapeOnOneLine(self) -> None:
        """
        That the first of two scrapes on a line ends does not hide from the
        second that the line breaks.
        """
        first = self.meet("L1", b"A", set())
        second = self.meet("L1", b"A", set())
        self.push(first)
        self.coordinator.lineBroke("L1")
        self.assertRepeated(second)


class DeadLineTests(CoordinatorCase):
    """
    What the reference's client and a dead line do together.
    """

    def test_swallowed(self) -> None:
        """
        A scrape that a dead, newer line swallowed is answered through the live
        one well before its deadline, and a target that takes 5 s is scraped
        once.
        """
        live = self.poll("live")
        dead = self.poll("dead")
        scrape = self.scrape(budget=9.5)
        id = self.took(dead)
        self.passTime(2.1)
        self.assertEqual(self.took(live), id)
        # The client polls at once, and only then scrapes.
        polls = [self.poll("live")]
        for _ in range(5):
            self.passTime(1)
            polls.append(self.poll(object()))
        self.push(id, b"whole")
        self.assertAnswered(scrape, b"whole")
        for poll in polls:
            self.assertNoResult(poll)

    def test_twoAtOnce(self) -> None:
        """
        Of two scrapes at once, one in a dead line, both are answered, whether
        the client keeps its line or takes a new one each time.
        """
        for keeps in (True, False):
            live = self.poll("live")
            self.poll("dead")
            scrapes = [self.scrape(budget=9.5) for _ in range(2)]
            work = []
            for step in range(6):
                if live.called:
                    work.append(self.took(live))
                    live = self.poll("live" if keeps else step)
                self.passTime(1)
            for id in dict.fromkeys(work):
                self.push(id)
            for scrape in scrapes:
                self.successResultOf(scrape)
            live.cancel()

    def test_severalDeadLines(self) -> None:
        """
        A live line is found behind two dead ones.
        """
        live = self.poll("live")
        self.poll("dead 1")
        self.poll("dead 2")
        scrape = self.scrape(budget=9.5)
        self.passTime(4.5)
        self.push(self.took(live))
        self.successResultOf(scrape)


class InstanceTests(CoordinatorCase):
    """
    Several processes poll for one name: one at a time has it.
    """

    def holdBy(self, instance: bytes) -> Deferred[Instruction | None]:
        """
        This instance serves the name, and polls again.
        """
        line = instance + b"1"
        poll = self.poll(line, instance, set())
        scrape = self.scrape()
        id = self.took(poll)
        poll = self.poll(line, instance, {id})
        self.push(id)
        self.successResultOf(scrape)
        return poll

    def test_holderKeepsTheName(self) -> None:
        """
        Who has the name keeps it, though others poll later.
        """
        holder = self.holdBy(b"A")
        standby = self.poll("B1", b"B", set())
        self.scrape()
        self.took(holder)
        self.assertNoResult(standby)

    def test_betweenTwoPolls(self) -> None:
        """
        The holder keeps the name for the moment between two of its polls.
        """
        holder = self.holdBy(b"A")
        standby = self.poll("B1", b"B", set())
        self.scrape()
        id = self.took(holder)
        self.scrape()
        self.passTime(1.9)
        self.assertNoResult(standby)
        self.assertEqual(self.took(self.poll("A1", b"A", {id})), b"id-3")
        self.passTime(1)
        self.assertNoResult(standby)

    def test_betweenTwoPollsWithoutWork(self) -> None:
        """
        So it does when its poll ended for want of work.
        """
        holder = self.holdBy(b"A")
        waiting = self.poll("A2", b"A", set(), wait=5)
        holder.cancel()
        standby = self.poll("B1", b"B", set())
        self.passTime(5)
        self.assertIsNone(self.successResultOf(waiting))
        self.scrape()
        self.passTime(1)
        self.assertNoResult(standby)
        self.took(self.poll("A3", b"A", set()))
        self.assertNoResult(standby)

    def test_lastPollLost(self) -> None:
        """
        With its last poll an instance loses the name at once.
        """
        holder = self.holdBy(b"A")
        other = self.poll("A2", b"A", set())
        standby = self.poll("B1", b"B", set())
        holder.cancel()
        self.scrape()
        self.took(other)
        self.assertNoResult(standby)
        other = self.poll("A2", b"A", {b"id-2"})
        other.cancel()
        self.scrape()
        self.assertEqual(self.took(standby), b"id-3")

    def test_brokenLineWithWorkQueued(self) -> None:
        """
        What was handed to the holder, and what waits for it, goes to the other
        when the line breaks, in the order in which it came.
        """
        holder = self.holdBy(b"A")
        standby = self.poll("B1", b"B", set())
        self.scrape()
        self.took(holder)
        self.scrape()
        back = self.poll("A2", b"A", {b"id-2"})
        self.assertEqual(self.took(back), b"id-3")
        self.scrape()
        self.assertNoResult(standby)
        self.coordinator.lineBroke("A2")
        self.assertEqual(self.took(standby), b"id-3")
        self.assertEqual(self.took(self.poll("B1", b"B", set())), b"id-4")

    def test_afterADeadLine(self) -> None:
        """
        An instance loses the name to a dead line, and does not get it back
        while the other polls.
        """
        holder = self.holdBy(b"A")
        standby = self.poll("B1", b"B", set())
        self.scrape()
        id = self.took(holder)
        second = self.poll("A2", b"A", set())
        self.passTime(2.1)
        self.assertEqual(self.took(standby), id)
        standby = self.poll("B1", b"B", {id})
        self.scrape()
        self.took(standby)
        self.assertNoResult(second)

    def test_backAfterADeadLine(self) -> None:
        """
        Where nobody else polls, it gets the name back.
        """
        self.holdBy(b"A").cancel()
        id = self.meet("A1", b"A", set())
        self.coordinator.lineBroke("A1")
        self.assertEqual(self.took(self.poll("A2", b"A", set())), id)

    def test_distrust(self) -> None:
        """
        Of two that wait, the one whose line was not found dead is chosen, be
        its poll the older.
        """
        other = self.poll("B1", b"B", set())
        self.clock.advance(1)
        id = self.meet("A1", b"A", set())
        newer = self.poll("A2", b"A", set())
        self.coordinator.lineBroke("A1")
        self.assertEqual(self.took(other), id)
        self.assertNoResult(newer)

    def test_graceIsOver(self) -> None:
        """
        Who stands by takes over when the holder does not come back in time.
        """
        holder = self.holdBy(b"A")
        standby = self.poll("B1", b"B", set())
        self.scrape()
        self.push(self.took(holder))
        second = self.scrape()
        self.passTime(1.9)
        self.assertNoResult(standby)
        self.passTime(0.2)
        self.push(self.took(standby), b"from B")
        self.assertAnswered(second, b"from B")
        back = self.poll("A1", b"A", set())
        self.poll("B1", b"B", set())
        self.scrape()
        self.assertNoResult(back)

    def test_longGraceIsNotTooLong(self) -> None:
        """
        The grace of a slow holder ends when the holder has disappeared.
        """
        poll = self.poll("A1", b"A", set())
        self.scrape(budget=400)
        id = self.took(poll)
        # A receipt that took a minute: from now on the grace is long.
        self.passTime(60)
        poll = self.poll("A1", b"A", {id})
        self.push(id)
        self.scrape(budget=400)
        self.push(self.took(poll))
        standby = self.poll("B1", b"B", set())
        self.scrape(budget=400)
        self.assertNoResult(standby)
        self.passTime(45)
        self.took(standby)

    def test_contested(self) -> None:
        """
        It is counted, and told, that several instances poll for a name.
        """
        self.poll("A1", b"A", set())
        self.poll("A2", b"A", set())
        self.poll("C1", b"C", set(), name="t2")
        self.assertEqual(self.coordinator.contested, 0)
        with capturedLogs() as events:
            other = self.poll("B1")
        self.assertEqual(self.coordinator.contested, 1)
        [event] = [e for e in events if e["log_level"] == LogLevel.warn]
        self.assertIn("2 instances poll as t1", formatEvent(event))
        other.cancel()
        self.assertEqual(self.coordinator.contested, 0)

    def test_contestIsOver(self) -> None:
        """
        An instance that does not come back is no contestant any more.
        """
        self.meet("A1", b"A", set())
        self.poll("B1", b"B", set())
        self.assertEqual(self.coordinator.contested, 1)
        self.passTime(45)
        self.assertEqual(self.coordinator.contested, 0)

    def test_shared(self) -> None:
        """
        Where names are shared, the instances take turns.
        """
        self.begin(shared=True)
        polls = {
            line: self.poll(line, line[:1].encode(), set())
            for line in ("A1", "A2", "B1", "B2")
        }
        order = []
        for _ in range(4):
            self.scrape()
            order += [line for line, poll in polls.items() if poll.called]
            polls = {line: poll for line, poll in polls.items() if not poll.called}
        self.assertEqual(order, ["A2", "B2", "A1", "B1"])

    def test_sharedIsNotContested(self) -> None:
        """
        A shared name is not contested, and nobody is warned.
        """
        self.begin(shared=True)
        with capturedLogs() as events:
            self.poll("A1", b"A", set())
            self.poll("B1", b"B", set())
        self.assertEqual(self.coordinator.contested, 0)
        self.assertNotIn(LogLevel.warn, [event["log_level"] for event in events])


class LimitTests(CoordinatorCase):
    """
    Everything is bounded, and what is refused leaves nothing.
    """

    def test_pollsPerInstance(self) -> None:
        """
        Past the limit an instance's own oldest poll is ended.
        """
        self.begin(pollsPerInstance=2)
        first, second = self.poll("A1", b"A"), self.poll("A2", b"A")
        other = self.poll("B1", b"B")
        third = self.poll("A3", b"A")
        self.failureResultOf(first, Superseded)
        for poll in (second, third, other):
            self.assertNoResult(poll)
        self.assertEqual(self.counts(), (3, 0, 0))

    def test_polls(self) -> None:
        """
        Past the limit of all a poll is refused, and its name is not known.
        """
        self.begin(polls=2, pollsPerInstance=2)
        self.poll("L1")
        self.poll("L2")
        error = self.refused(Full, lambda: self.poll("L3", name="t2"))
        self.assertEqual((error.what, error.limit), ("polls parked", 2))
        self.assertEqual(self.counts(), (2, 0, 0))
        self.assertEqual([r.name for r in self.coordinator.known()], ["t1"])
        # Its own limit comes first: that one makes room.
        self.poll("L3")
        self.assertEqual(self.counts(), (2, 0, 0))
        self.assertEqual(self.refusedPolls, ["polls"])

    def test_names(self) -> None:
        """
        Past the limit of names a poll under a new one is refused; those that are
        known are served, and make room when they are forgotten.
        """
        self.begin(names=2)
        gone = self.poll("L1", name="t1")
        known = self.poll("L2", name="t2")
        gone.cancel()
        error = self.refused(Full, lambda: self.poll("L3", name="t3"))
        self.assertEqual((error.what, error.limit), ("names known", 2))
        self.assertEqual(self.refusedPolls, ["names"])
        self.assertRaises(UnknownName, self.scrape, "t3")
        self.scrape("t2")
        self.took(known)
        self.poll("L1", name="t1").cancel()
        self.passTime(320)
        self.poll("L3", name="t3")
        self.assertEqual(self.coordinator.names, 1)

    def test_manyNames(self) -> None:
        """
        Of a hundred thousand names that are polled or scraped no more is kept than
        the limits allow, and the proxy does its work meanwhile.
        """
        self.begin(age=0, names=10, queued=10)
        self.poll("good")
        for n in range(50_000):
            # Of these, all but ten are refused.
            with contextlib.suppress(Full):
                self.scrape(f"s{n}")
            with contextlib.suppress(Full):
                self.poll(n, name=f"p{n}").cancel()
        self.assertEqual(len(self.coordinator._roll), 20)
        self.meet("better")
        self.assertEqual(set(self.refusedPolls), {"names"})
        self.passTime(40)
        for n in range(50_000):
            self.assertRaises(UnknownName, self.scrape, f"s{n}")
        self.assertEqual(self.coordinator.names, 10)

    def test_namesOfScrapes(self) -> None:
        """
        Names that are only scraped, during the warm-up, shut out none that poll.
        """
        self.begin(age=0, names=1)
        scrapes = [self.scrape(f"t{n}") for n in range(5)]
        poll = self.poll("L1", name="t4")
        self.took(poll)
        self.refused(Full, lambda: self.poll("L2", name="t3"))
        self.assertNoResult(scrapes[3])

    def test_instances(self) -> None:
        """
        Past the limit of a name a poll of one more instance is refused, also while
        the others are between two polls; those go on, and so do other names. That
        they are many is told once.
        """
        self.begin(instancesPerName=3)
        with capturedLogs() as events:
            for instance in (b"A", b"B", b"C"):
                self.poll(instance, instance, set(), wait=1.0)
            for _ in range(2):
                error = self.refused(Full, lambda: self.poll("L", b"D", set()))
                self.assertEqual((error.what, error.limit), ("instances of t1", 3))
                self.passTime(1)
        warnings = [e for e in events if e["log_level"] == LogLevel.warn]
        self.assertEqual(len(warnings), 1)
        self.assertEqual(self.refusedPolls, ["instances"] * 2)
        self.poll("A", b"A", set())
        self.poll("L", b"D", set(), name="t2")
        self.passTime(45)
        self.poll("L", b"D", set())

    def test_identities(self) -> None:
        """
        Past the limit of an identity its polls are refused, whatever they call
        themselves; those of others, and of nobody in particular, are not.
        """
        self.begin(pollsPerIdentity=2)
        first = self.poll("L1", name="t1", identity="alice")
        self.poll("L2", name="t2", identity="alice")
        error = self.refused(Full, lambda: self.poll("L3", name="t3", identity="alice"))
        self.assertEqual(
            (error.what, error.limit), ("polls parked by one who polls", 2)
        )
        self.assertEqual(self.refusedPolls, ["identity"])
        self.poll("L4", name="t4", identity="bob")
        for n in range(5):
            self.poll(n, name=f"n{n}")
        first.cancel()
        self.poll("L3", name="t3", identity="alice")

    def test_identityAndInstance(self) -> None:
        """
        A poll that makes room for another of the same identity takes no more
        than one place; one of another identity makes none.
        """
        self.begin(pollsPerIdentity=1, pollsPerInstance=1)
        first = self.poll("L1", identity="alice")
        second = self.poll("L2", identity="alice")
        self.failureResultOf(first, Superseded)
        other = self.poll("L3", name="t2", identity="bob")
        self.refused(Full, lambda: self.poll("L4", identity="bob"))
        self.assertNoResult(second)
        self.assertNoResult(other)

    def test_refusedPollLeavesNothing(self) -> None:
        """
        A proxy that takes no poll at all stays empty.
        """
        self.begin(polls=0)
        self.refused(Full, self.poll, "L1")
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_queuedPerName(self) -> None:
        """
        Past the limit of a name a scrape is refused, with the name.
        """
        self.begin(queuedPerName=2)
        self.poll("L1").cancel()
        self.poll("L2", name="t2").cancel()
        self.scrape()
        self.scrape()
        error = self.refused(Full, self.scrape)
        self.assertEqual((error.what, error.limit), ("scrapes queued for t1", 2))
        self.assertEqual(self.counts(), (0, 2, 2))
        self.scrape("t2")
        self.assertEqual(self.outcomes, [("refused", 0.0)])

    def test_queued(self) -> None:
        """
        Past the limit of all a scrape is refused, for an unknown name too.
        """
        self.begin(queued=2, age=0)
        self.scrape("t1")
        self.scrape("t2")
        error = self.refused(Full, self.scrape, "t3")
        self.assertEqual((error.what, error.limit), ("scrapes queued", 2))
        self.assertEqual(self.counts(), (0, 2, 2))
        self.assertEqual(self.outcomes, [("refused", 0.0)])

    def test_queueOfOthers(self) -> None:
        """
        A queue full of scrapes for names that do not poll shuts out no name
        that does.
        """
        self.begin(queued=1, age=0)
        self.scrape("t2")
        poll = self.poll("L1")
        self.scrape("t1")
        self.took(poll)

    def test_handedScrapesAreNotQueued(self) -> None:
        """
        What a client has in hand takes no place in the queue.
        """
        self.begin(queued=1, queuedPerName=1)
        self.meet("L1")
        self.poll("L1")
        self.scrape()
        self.scrape()


class NameTests(CoordinatorCase):
    """
    Names become known and are forgotten.
    """

    def names(self) -> list[str]:
        """
        The known names.
        """
        return sorted(r.name for r in self.coordinator.known())

    def test_known(self) -> None:
        """
        A name is known while a poll is parked, and for a time after it.
        """
        poll = self.poll("L1")
        self.passTime(1000)
        self.assertEqual(self.names(), ["t1"])
        poll.cancel()
        self.passTime(299)
        self.assertEqual(self.names(), ["t1"])
        self.scrape(budget=0.5)
        self.passTime(1)
        self.assertEqual(self.names(), [])
        self.refused(UnknownName, self.scrape)

    def test_forgotten(self) -> None:
        """
        A name that nobody polls for leaves no trace.
        """
        self.poll("L1").cancel()
        self.assertFalse(self.coordinator.quiet)
        self.passTime(311)
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notForgottenWithAScrape(self) -> None:
        """
        A name that a scrape waits for is kept until the scrape has ended, and
        not longer.
        """
        self.poll("L1").cancel()
        self.passTime(295)
        scrape = self.scrape(budget=60)
        self.passTime(50)
        self.assertEqual(self.names(), [])
        self.assertNoResult(scrape)
        self.took(self.poll("L2"))
        self.assertEqual(self.names(), ["t1"])

    def test_waitedForIsNotKnown(self) -> None:
        """
        That somebody scrapes a name does not make it known.
        """
        self.begin(age=0)
        self.scrape()
        self.assertEqual(self.names(), [])

    def test_connected(self) -> None:
        """
        Parked and known are told apart.
        """
        poll = self.poll("L1")
        [registration] = self.coordinator.known()
        self.assertTrue(registration.connected)
        poll.cancel()
        self.assertFalse(registration.connected)

    def test_sweepEachItsTime(self) -> None:
        """
        Names are forgotten one by one.
        """
        self.poll("L1").cancel()
        self.passTime(200)
        self.poll("L2", name="t2").cancel()
        self.passTime(150)
        self.assertEqual(self.names(), ["t2"])
        self.assertFalse(self.coordinator.quiet)

    def said(self, events: list[Any]) -> list[str | None]:
        """
        What stands in the log at level info.
        """
        return [formatEvent(e) for e in events if e["log_level"] == LogLevel.info]

    def test_appearAndDisappear(self) -> None:
        """
        The log tells of clients that appear, disappear and are back.
        """
        with capturedLogs() as events:
            poll = self.poll("L1")
            self.poll("L2").cancel()
            self.passTime(100)
            poll.cancel()
            self.passTime(100)
            self.poll("L3")
        appeared, disappeared, back = self.said(events)
        self.assertEqual(appeared, "Client t1 appeared")
        self.assertRegex(
            str(disappeared), r"Client t1 disappeared: no poll for (3\d|40) s"
        )
        self.assertEqual(back, "Client t1 is back after 100 s")

    def test_appearsThoughWaitedFor(self) -> None:
        """
        A client that somebody waited for appears like any other.
        """
        self.begin(age=0)
        self.scrape()
        with capturedLogs() as events:
            self.poll("L1")
        self.assertEqual(self.said(events), ["Client t1 appeared"])

    def test_disappearsWithAShortTimeout(self) -> None:
        """
        A client disappears from the log also where names are forgotten soon.
        """
        self.begin(registrationTimeout=15.0)
        with capturedLogs() as events:
            self.poll("L1").cancel()
            self.passTime(60)
        self.assertEqual(len(self.said(events)), 2, self.said(events))

    def test_quietLog(self) -> None:
        """
        A client that scrapes and polls on says nothing at level info.
        """
        poll = self.poll("L1")
        with capturedLogs() as events:
            for _ in range(10):
                self.scrape()
                id = self.took(poll)
                poll = self.poll("L1")
                self.push(id)
                self.passTime(10)
        self.assertEqual([e for e in events if e["log_level"] > LogLevel.debug], [])


class RevokedTests(CoordinatorCase):
    """
    Polls of who may poll no more.
    """

    def revocable(self, allowed: Callable[[], bool], count: int) -> list[Exception]:
        """
        Park so many polls, two of each instance, for who may poll as long
        as C{allowed} says so.

        @return: where it is told why they ended.
        """
        told: list[Exception] = []

        def ended(failure: Failure) -> None:
            told.append(failure.value)
            # What follows on his line may have the file read once more.
            self.coordinator.review()

        for n in range(count):
            poll = Poll("t1", "t1", n, b"%d" % (n // 2), mayStay=allowed)
            self.coordinator.poll(poll).addErrback(ended)
        return told

    def test_review(self) -> None:
        """
        All of them end, each once, whatever their ends lead to; others stay.
        """
        other = self.poll("other", b"other")
        told = self.revocable(lambda: False, 4)
        self.coordinator.review()
        self.assertEqual([type(error) for error in told], [Revoked] * 4)
        self.assertEqual(self.counts(), (1, 0, 0))
        self.assertNoResult(other)

    def test_stop(self) -> None:
        """
        So it is when the proxy stops: each ends once.
        """
        told = self.revocable(lambda: False, 4)
        self.successResultOf(self.coordinator.stop())
        self.assertEqual([type(error) for error in told], [Stopping] + [Revoked] * 3)


class StopTests(CoordinatorCase):
    """
    A proxy that stops lets what is in flight finish.
    """

    def test_idle(self) -> None:
        """
        An idle proxy stops at once, and ends the polls.
        """
        polls = [self.poll("L1"), self.poll("L2", b"A"), self.poll("L3", name="t2")]
        self.successResultOf(self.coordinator.stop())
        for poll in polls:
            self.failureResultOf(poll, Stopping)
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_empty(self) -> None:
        """
        A proxy that nobody used stops.
        """
        self.successResultOf(self.coordinator.stop())

    def test_newScrapes(self) -> None:
        """
        New scrapes are refused, and those in flight are answered.
        """
        poll = self.poll("L1")
        scrape = self.scrape()
        stopped = self.coordinator.stop()
        self.refused(Stopping, self.scrape)
        self.assertEqual(self.outcomes, [("stopping", 0.0)])
        self.assertNoResult(stopped)
        seen: list[bool] = []
        scrape.addCallback(lambda response: seen.append(stopped.called))
        self.push(self.took(poll))
        self.assertEqual(seen, [False])
        self.successResultOf(stopped)

    def test_queuedScrapes(self) -> None:
        """
        Scrapes that wait are still handed out, and the polls for them taken.
        """
        self.poll("L0").cancel()
        scrapes = [self.scrape(), self.scrape()]
        stopped = self.coordinator.stop()
        first = self.took(self.poll("L1"))
        second = self.took(self.poll("L1"))
        idle = self.poll("L1")
        self.push(first)
        self.assertNoResult(stopped)
        self.assertNoResult(idle)
        self.push(second)
        self.successResultOf(stopped)
        self.failureResultOf(idle, Stopping)
        for scrape in scrapes:
            self.successResultOf(scrape)
        self.refused(Stopping, self.poll, "L1")
        self.assertTrue(self.coordinator.quiet)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noAnswer(self) -> None:
        """
        The end comes at the last deadline at the latest.
        """
        self.poll("L0").cancel()
        scrape = self.scrape(budget=10)
        stopped = self.coordinator.stop()
        self.passTime(9)
        self.assertNoResult(stopped)
        self.passTime(1)
        self.successResultOf(stopped)
        self.failureResultOf(scrape, NotTaken)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_scraperHangsUp(self) -> None:
        """
        It need not wait for scrapers that have hung up.
        """
        self.poll("L0").cancel()
        scrape = self.scrape()
        stopped = self.coordinator.stop()
        scrape.cancel()
        self.successResultOf(stopped)

    def test_takeoverTimer(self) -> None:
        """
        A name whose holder was waited for leaves no timer behind.
        """
        self.poll("B1", b"B", set())
        self.clock.advance(1)
        id = self.meet("A1", b"A", set())
        self.scrape().cancel()
        self.push(id)
        self.successResultOf(self.coordinator.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Side:
    """
    The scraper's side of an answer that is on its way, and the push's.

    @ivar heard: what it was told.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def bodyBroke(self) -> None:
        """
        The scraper does not get the rest.
        """
        self.heard.append("broke")

    def giveUp(self) -> None:
        """
        The push is too late.
        """
        self.heard.append("gave up")


class DeliveryTests(CoordinatorCase):
    """
    Answers that take a while to come.
    """

    def setUp(self) -> None:
        """
        Begin with one that has begun to come.
        """
        super().setUp()
        poll = self.poll("L1")
        self.scraping = self.scrape(budget=10.0)
        self.id = self.took(poll)
        self.side = Side()
        whole: Any = makeDelivery()
        self.delivery: Any = attrs.evolve(whole, source=self.side)
        self.coordinator.push(self.id, self.delivery)
        self.delivery.receiver = self.side

    def ended(self, word: str) -> None:
        """
        The scrape has ended, in this word, and nobody is told anything more.
        """
        self.assertEqual([outcome for outcome, _ in self.outcomes], [word])
        self.assertEqual(self.counts(), (0, 0, 0))
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    def test_begins(self) -> None:
        """
        The scraper is given what there is at once, but the scrape has not ended.
        """
        self.assertIs(self.successResultOf(self.scraping), self.delivery)
        self.assertEqual((self.outcomes, self.counts()), ([], (0, 0, 1)))
        self.coordinator.delivered(self.id)
        self.ended("answered")
        self.assertEqual(self.side.heard, [])

    def test_first(self) -> None:
        """
        From then on no other answer is expected.
        """
        self.refused(UnknownScrape, self.coordinator.expected, self.id)
        self.refused(UnknownScrape, self.coordinator.push, self.id, makeDelivery())
        self.coordinator.delivered(self.id)
        self.refused(UnknownScrape, self.coordinator.breakOff, self.id, None, "off")

    def test_receipt(self) -> None:
        """
        Nor is a receipt: nobody else is given the scrape.
        """
        witness = self.poll("witness", b"witness", set())
        self.passTime(9)
        self.assertNoResult(witness)
        self.assertEqual(self.coordinator.requeued, 0)

    def test_queuedAgain(self) -> None:
        """
        Though it was queued again when the answer began, it is not any more.
        """
        self.coordinator.delivered(self.id)
        self.outcomes.clear()
        poll = self.poll("L1")
        self.scrape()
        id = self.took(poll)
        self.passTime(2.5)
        self.assertEqual(self.counts(), (0, 1, 1))
        self.coordinator.push(id, self.delivery)
        self.assertEqual(self.counts(), (0, 0, 1))
        self.assertNoResult(self.poll("L2"))
        self.coordinator.delivered(id)

    def test_abandoned(self) -> None:
        """
        A scraper that hangs up is one as before the answer.
        """
        self.coordinator.abandon(self.id)
        self.ended("cancelled")

    def test_broken(self) -> None:
        """
        An answer that breaks off is no answer.
        """
        self.coordinator.cutShort(self.id)
        self.ended("broken")

    def test_late(self) -> None:
        """
        Nor is one that is not whole by the deadline: the scraper is told, then
        the client.
        """
        self.passTime(9.9)
        self.assertEqual(self.side.heard, [])
        self.passTime(0.1)
        self.assertEqual(self.side.heard, ["broke", "gave up"])
        self.ended("broken")

    def test_lateAtTheEnd(self) -> None:
        """
        Where a proxy stops that only waited for it, both are told before.
        """
        stopped = self.coordinator.stop()
        stopped.addCallback(lambda _: self.side.heard.append("stopped"))
        self.passTime(10)
        self.assertEqual(self.side.heard, ["broke", "gave up", "stopped"])

    def test_stop(self) -> None:
        """
        A proxy that stops waits for it.
        """
        stopped = self.coordinator.stop()
        self.assertNoResult(stopped)
        self.coordinator.delivered(self.id)
        self.successResultOf(stopped)
