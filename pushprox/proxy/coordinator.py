"""
Who waits for whom: parked polls and queued scrapes.

This module knows Deferreds and a clock. It does not know HTTP: what a scrape
or a poll that cannot be served looks like on the wire is for
L{pushprox.proxy.doors} to say.

A scrape is first I{queued}, in the order it came. A poll takes it: it is then
I{handed} out, until the client's receipt shows that the line was alive; from
there on it is I{confirmed} and is never handed out again, however slow the
target is. A receipt that does not come in time means that the line was dead:
the scrape is queued again, under the same id, and the first answer wins. It may
take a while to arrive: until it is whole, the deadline holds for it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterator

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pushprox.proxy.delivery import Delivery
from pushprox.proxy.instruction import Asked, Instruction
from pushprox.proxy.pending import Receipts, Scrape, shownBy
from pushprox.proxy.refusals import (
    BrokenAnswer,
    ForeignScrape,
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
from pushprox.proxy.registration import Parked, Poll, Registration
from pushprox.proxy.roll import Roll

#: Methods that may reach a target twice without harm (RFC 9110 section 9.2.2;
#: PUT and DELETE are idempotent too, but no scrape uses them).
_REPEATABLE = frozenset({b"GET", b"HEAD"})


#: How a scrape can end, in one word each.
OUTCOMES = (
    "answered",
    "broken",
    "cancelled",
    "not_answered",
    "not_taken",
    "refused",
    "stopping",
    "unknown",
)


#: What may be at its limit when a poll is refused, in one word each.
POLL_LIMITS = ("identity", "instances", "names", "polls")


@attrs.frozen
class Rules:
    """
    What the operator decided: times in seconds, and limits.

    @ivar registrationTimeout: how long a name without a poll stays known.
    @ivar warmup: how long after the start unknown names are waited for.
    @ivar receiptWait: how long a line has to show that it is alive.
    @ivar pollsPerInstance: parked polls of one instance.
    @ivar instancesPerName: instances that poll for a name, or did a moment ago.
    @ivar pollsPerIdentity: parked polls of one identity, where polls have one; 0
        for any number.
    @ivar polls: parked polls in all.
    @ivar names: names that polled and are not forgotten.
    @ivar queuedPerName: queued scrapes of one name.
    @ivar queued: queued scrapes in all.
    @ivar shared: whether instances of one name share its scrapes.
    """

    registrationTimeout: float = 300.0
    warmup: float = 30.0
    receiptWait: float = 2.0
    pollsPerInstance: int = 16
    polls: int = 20000
    queuedPerName: int = 1000
    queued: int = 20000
    shared: bool = False
    pollsPerIdentity: int = 0
    names: int = 20000
    instancesPerName: int = 100


@attrs.define(eq=False)
class Coordinator:
    """
    Brings scrapes and polls together.

    @ivar clock: the one clock of all waits.
    @ivar makeId: makes the ids of scrapes; they must not be guessable, since
        who knows an id can answer.
    @ivar outcome: called with one word for each scrape that ended, and the
        seconds it took.
    @ivar pollRefused: called with one of L{POLL_LIMITS} for each poll that would
        pass it.
    """

    clock: IReactorTime
    rules: Rules
    makeId: Callable[[], bytes]
    outcome: Callable[[str, float], None] = lambda word, seconds: None
    pollRefused: Callable[[str], None] = lambda limit: None

    parked: int = attrs.field(default=0, init=False)
    queued: int = attrs.field(default=0, init=False)
    requeued: int = attrs.field(default=0, init=False)
    stopping: bool = attrs.field(default=False, init=False)
    _roll: Roll = attrs.field(init=False)
    _scrapes: dict[bytes, Scrape] = attrs.field(factory=dict, init=False)
    _receipts: Receipts = attrs.field(factory=Receipts, init=False)
    _perIdentity: dict[Hashable, int] = attrs.field(factory=dict, init=False)
    _scrapeCount: int = attrs.field(default=0, init=False)
    _started: float = attrs.field(init=False)
    _ended: bool = attrs.field(default=False, init=False)
    _drained: Deferred[None] | None = attrs.field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._started = self.clock.seconds()
        rules = self.rules
        self._roll = Roll(
            self.clock, rules.registrationTimeout, rules.shared, self._match
        )

    # What others may know.

    @property
    def inFlight(self) -> int:
        """
        The number of scrapes that wait for an answer, queued ones included.
        """
        return len(self._scrapes)

    @property
    def names(self) -> int:
        """
        The number of names that polled and are not forgotten.
        """
        return self._roll.polled

    @property
    def contested(self) -> int:
        """
        The number of names that more than one instance polls for.
        """
        return sum(r.contested for r in self._roll)

    @property
    def quiet(self) -> bool:
        """
        Whether nothing is left behind: no name, no scrape, no poll, no timer.
        """
        return not (
            self._scrapes
            or self._receipts
            or self._perIdentity
            or self.parked
            or self.queued
            or not self._roll.quiet
        )

    def known(self) -> Iterator[Registration[Scrape]]:
        """
        The names that have polls parked, or polled within the registration
        timeout, in no particular order.
        """
        return filter(self._roll.isKnown, self._roll)

    # The scraper's side.

    def scrape(
        self,
        name: str,
        request: Asked,
        budget: float,
        mayStay: Callable[[], bool] | None = None,
    ) -> Deferred[Delivery]:
        """
        Have a request done by the client of a name.

        @param name: the name, normalised.
        @param budget: the seconds after which an answer is of no use.
        @param mayStay: tells whether who scrapes may still do so, if that can change.
        @return: fires with the target's answer when that begins; fails with
            L{ScrapeFailed}, L{Revoked}, L{Full} or L{Stopping}. Cancel it when the
            scraper hangs up.
        """
        now = self.clock.seconds()
        registration = self._roll.get(name)
        if self.stopping:
            self.outcome("stopping", 0.0)
            raise Stopping()
        if (registration is None or not self._roll.isKnown(registration)) and (
            now - self._started >= self.rules.warmup
        ):
            self.outcome("unknown", 0.0)
            raise UnknownName(name)
        connected = registration is not None and registration.connected
        if self.queued >= self.rules.queued and not connected:
            # Names that do not poll must not shut out those that do.
            self.outcome("refused", 0.0)
            raise Full("scrapes queued", self.rules.queued)
        if registration is None:
            registration = self._roll.register(name)
        elif len(registration.queue) >= self.rules.queuedPerName:
            self.outcome("refused", 0.0)
            raise Full(f"scrapes queued for {name}", self.rules.queuedPerName)

        self._scrapeCount += 1
        scrape = Scrape(
            id=self.makeId(),
            order=self._scrapeCount,
            request=request,
            registration=registration,
            arrived=now,
            deadline=now + budget,
            answer=Deferred(lambda answer: self._finish(scrape, "cancelled")),
            conditions=() if mayStay is None else (mayStay,),
        )
        self._scrapes[scrape.id] = scrape
        registration.scrapes.append(scrape)
        self._enqueue(scrape)
        if scrape.timer is None and scrape.id in self._scrapes:
            self._awaitAnswer(scrape)
        return scrape.answer

    def _awaitAnswer(self, scrape: Scrape) -> None:
        """
        From now on it is the deadline that counts.
        """
        remaining = max(0.0, scrape.deadline - self.clock.seconds())
        if scrape.timer is not None and scrape.timer.active():
            # To put it off costs next to nothing.
            scrape.timer.reset(remaining)
        else:
            scrape.timer = self.clock.callLater(remaining, self._timeIsUp, scrape)

    def _timeIsUp(self, scrape: Scrape) -> None:
        """
        What was awaited next did not come: the receipt, or the answer.
        """
        if scrape.line is not None:
            self._lineIsDead(scrape)
        else:
            self._expire(scrape)

    def _expire(self, scrape: Scrape) -> None:
        """
        The deadline of a scrape has come: say whose fault it is.
        """
        now = self.clock.seconds()
        name = scrape.registration.name
        seen = scrape.registration.seen(now)
        error: ScrapeFailed
        if scrape.delivery is not None:
            self._giveUp(scrape, scrape.delivery)
            return
        if scrape.handed:
            word, error = "not_answered", NotAnswered(name, now - scrape.arrived)
        elif seen is None:
            word, error = "unknown", UnknownName(name)
        else:
            word, error = "not_taken", NotTaken(name, seen)
        self._finish(scrape, word, Failure(error))

    def _giveUp(self, scrape: Scrape, delivery: Delivery) -> None:
        """
        An answer that is on its way does not arrive whole.
        """
        # Before the last scrape ends, after which a proxy may stop.
        delivery.giveUp()
        self._finish(scrape, "broken")

    def _finish(
        self, scrape: Scrape, word: str, result: Delivery | Failure | None = None
    ) -> None:
        """
        Forget a scrape, so that nothing refers to it any more, and give the
        scraper its result.
        """
        registration = scrape.registration
        del self._scrapes[scrape.id]
        registration.scrapes.remove(scrape)
        self._dequeue(scrape)
        self._receipts.end(scrape)
        if scrape.timer is not None and scrape.timer.active():
            scrape.timer.cancel()
        scrape.timer = None
        self._roll.forgetIfVain(registration)
        self.outcome(word, self.clock.seconds() - scrape.arrived)
        if result is not None:
            scrape.answer.callback(result)
        if self._drained is not None and not self._scrapes:
            drained, self._drained = self._drained, None
            drained.callback(None)

    # The client's side.

    def poll(self, poll: Poll) -> Deferred[Instruction | None]:
        """
        Wait for a scrape.

        @return: fires with an L{Instruction}, or with L{None} when the poll's
            own C{wait} is over; fails with L{Superseded}, L{Full} or
            L{Stopping}. Cancel it when the client hangs up.
        """
        if self._ended:
            raise Stopping()
        registration = self._roll.get(poll.name)
        if registration is None:
            registration = self._roll.register(poll.name)
        for scrape in shownBy(poll, registration.scrapes):
            self._confirm(scrape, poll)
        instance = registration.instances.get(poll.instance)
        oldest: Parked | None = None
        if instance and len(instance.parked) >= self.rules.pollsPerInstance:
            oldest = instance.parked[0]
        try:
            self._checkRoom(registration, poll, oldest)
        except Full:
            self._roll.forgetIfVain(registration)
            raise
        if oldest is not None:
            self._end(oldest, Superseded())
        if registration.lastSeen is None:
            self._roll.polled += 1
        instance = registration.greet(poll, self.clock.seconds())

        parked = Parked(poll, instance, Deferred(lambda answer: self._lose(parked)))
        if poll.wait is not None:
            parked.expiry = self.clock.callLater(poll.wait, self._end, parked)
        instance.parked.append(parked)
        self.parked += 1
        if poll.identity is not None:
            count = self._perIdentity.get(poll.identity, 0)
            self._perIdentity[poll.identity] = count + 1
        self._match(registration)
        return parked.answer

    def _checkRoom(
        self,
        registration: Registration[Scrape],
        poll: Poll,
        oldest: Parked | None,
    ) -> None:
        """
        See whether a poll may be parked.

        @param oldest: the one that makes room for it, if its instance has as many
            as it may.
        @raise Full: if it may not.
        """
        rules, who = self.rules, poll.identity
        if registration.lastSeen is None and self.names >= rules.names:
            limit, error = "names", Full("names known", rules.names)
        elif (
            poll.instance not in registration.instances
            and len(registration.instances) >= rules.instancesPerName
        ):
            what = f"instances of {registration.name}"
            limit, error = "instances", Full(what, rules.instancesPerName)
        elif oldest is None and self.parked >= rules.polls:
            limit, error = "polls", Full("polls parked", rules.polls)
        elif (
            who is not None
            and rules.pollsPerIdentity
            and (oldest is None or oldest.poll.identity != who)
            and self._perIdentity.get(who, 0) >= rules.pollsPerIdentity
        ):
            what = "polls parked by one who polls"
            limit, error = "identity", Full(what, rules.pollsPerIdentity)
        else:
            return
        self.pollRefused(limit)
        raise error

    def _unpark(self, parked: Parked) -> None:
        """
        Take a poll out of its place: it is answered, ended or lost.
        """
        parked.instance.parked.remove(parked)
        parked.instance.lastSeen = self.clock.seconds()
        self.parked -= 1
        who = parked.poll.identity
        if who is not None:
            self._perIdentity[who] -= 1
            if not self._perIdentity[who]:
                del self._perIdentity[who]
        if parked.expiry is not None and parked.expiry.active():
            parked.expiry.cancel()
        parked.expiry = None

    def _end(self, parked: Parked, error: Exception | None = None) -> None:
        """
        End a poll without a scrape.
        """
        self._unpark(parked)
        registration = parked.instance.registration
        self._doubt(registration)
        registration.expectBack(
            parked.instance, self.clock.seconds() + self.rules.receiptWait
        )
        if error is None:
            parked.answer.callback(None)
        else:
            parked.answer.errback(error)

    def _lose(self, parked: Parked) -> None:
        """
        The line of a parked poll is gone.
        """
        self._unpark(parked)
        registration = parked.instance.registration
        self._doubt(registration)
        if not parked.instance.parked:
            registration.leave(parked.instance)

    def _dismiss(self, parked: Parked) -> None:
        """
        Who polled may do so no more.
        """
        self._lose(parked)
        parked.answer.errback(Revoked())

    def review(self) -> None:
        """
        See who may still poll or scrape, and end the polls and scrapes of all
        others.
        """
        for parked in self._roll.parked():
            if parked.poll.isRevoked:
                self._dismiss(parked)
        for scrape in list(self._scrapes.values()):
            if scrape.id in self._scrapes and not all(
                may() for may in scrape.conditions
            ):
                self._revoke(scrape)

    def _revoke(self, scrape: Scrape) -> None:
        """
        Who scraped, or brings the answer, may do so no more.
        """
        if scrape.delivery is not None:
            self._giveUp(scrape, scrape.delivery)
        else:
            self._finish(scrape, "refused", Failure(Revoked()))

    def _doubt(self, registration: Registration[Scrape]) -> None:
        """
        A poll of the name ended: the next may stand for that one, and need not
        be the receipt of a scrape on some other line.
        """
        for scrape in registration.scrapes:
            scrape.doubtful = True

    # How they meet.

    def _enqueue(self, scrape: Scrape) -> None:
        insort(scrape.registration.queue, scrape)
        self.queued += 1
        self._match(scrape.registration)

    def _dequeue(self, scrape: Scrape) -> None:
        if scrape in scrape.registration.queue:
            scrape.registration.queue.remove(scrape)
            self.queued -= 1

    def _match(self, registration: Registration[Scrape]) -> None:
        """
        Hand queued scrapes to parked polls while there are both.
        """
        while registration.queue:
            # Once for the check and for what is handed out, or time could run
            # out between the two.
            now = self.clock.seconds()
            scrape = registration.queue[0]
            if scrape.deadline <= now:
                # A busy reactor may see a poll, or that a line is dead, before
                # the timer that is due: nothing remains to hand out.
                self._expire(scrape)
                continue
            parked = registration.choose(now)
            if parked is None:
                break
            if parked.poll.isRevoked:
                self._dismiss(parked)
                continue
            self._hand(scrape, parked, now)
        registration.awaitHolder(self.clock, self._match)

    def _hand(self, scrape: Scrape, parked: Parked, now: float) -> None:
        """
        Give a scrape to a poll, and watch for the receipt.
        """
        remaining = scrape.deadline - now
        registration = scrape.registration
        self._dequeue(scrape)
        self._unpark(parked)
        # A third of what remains leaves time for a second line, and a third.
        # A client that usually takes longer may have up to a half.
        wait = max(
            min(self.rules.receiptWait, remaining / 3),
            min(2 * registration.usualReceipt, remaining / 2),
        )
        registration.expectBack(parked.instance, now + wait)
        self._receipts.begin(scrape, parked.poll, parked.instance, now)
        if scrape.timer is not None:
            scrape.timer.cancel()
        scrape.timer = self.clock.callLater(wait, self._timeIsUp, scrape)
        parked.answer.callback(
            Instruction(scrape.id, scrape.request, parked.poll.spelling, remaining)
        )

    def _confirm(self, scrape: Scrape, poll: Poll | None = None) -> None:
        """
        A client has this scrape in hand, as its poll or its answer shows.
        """
        taken = self.clock.seconds() - scrape.handedAt(poll)
        scrape.registration.learnReceipt(taken)
        scrape.confirmed = True
        self._dequeue(scrape)
        if scrape.line is not None:
            self._receipts.end(scrape)
            self._awaitAnswer(scrape)

    def lineBroke(self, line: Hashable) -> None:
        """
        A connection ended in an error: what was written to it last may never
        have arrived. (A clean end says nothing: some load balancers close a
        connection after every reply.)
        """
        scrape = self._receipts.awaitedOn(line)
        if scrape is not None:
            self._lineIsDead(scrape)

    def _lineIsDead(self, scrape: Scrape) -> None:
        """
        No receipt came: whoever had this scrape loses the name, and the
        scrape goes to the next poll, now or when one comes.
        """
        self._receipts.end(scrape)
        self._awaitAnswer(scrape)
        registration = scrape.registration
        registration.distrust(scrape.instance)
        self._log.debug(
            "No receipt for scrape {id} of {name}: its line is taken for dead",
            id=scrape.id.decode("latin-1"),
            name=registration.name,
        )
        if scrape.request.method in _REPEATABLE:
            self.requeued += 1
            self._enqueue(scrape)
        else:
            self._match(registration)

    # Answers.

    def expected(self, id: bytes, identity: Hashable | None = None) -> Asked:
        """
        The request that an answer with this id belongs to.

        @param identity: who brings it.
        @raise UnknownScrape: if nobody waits for it.
        @raise ForeignScrape: if it was given to somebody else.
        """
        scrape = self._expected(id)
        if identity not in scrape.takers:
            raise ForeignScrape(id)
        return scrape.request

    def _expected(self, id: bytes) -> Scrape:
        scrape = self._scrapes.get(id)
        if scrape is None or not scrape.handed or scrape.delivery is not None:
            raise UnknownScrape(id)
        return scrape

    def push(
        self,
        id: bytes,
        delivery: Delivery,
        mayStay: Callable[[], bool] | None = None,
    ) -> None:
        """
        Answer a scrape. If the answer is not whole yet, one of L{delivered},
        L{cutShort} and L{abandon} has to follow, unless the delivery is told to
        L{give up<Delivery.giveUp>}.

        @param mayStay: tells whether who brings it may still do so, if that can
            change.
        @raise UnknownScrape: if nobody waits for it.
        """
        scrape = self._expected(id)
        if scrape.line is not None:
            self._confirm(scrape)
        if delivery.whole:
            self._finish(scrape, "answered", delivery)
        else:
            self._dequeue(scrape)
            if mayStay is not None:
                scrape.conditions += (mayStay,)
            scrape.delivery = delivery
            scrape.answer.callback(delivery)

    def delivered(self, id: bytes) -> None:
        """
        An answer that began has come whole.
        """
        self._finish(self._scrapes[id], "answered")

    def abandon(self, id: bytes) -> None:
        """
        The scraper hung up before its answer was whole.
        """
        self._finish(self._scrapes[id], "cancelled")

    def cutShort(self, id: bytes) -> None:
        """
        An answer that began does not come whole.
        """
        self._finish(self._scrapes[id], "broken")

    def breakOff(self, id: bytes, reason: str | None, detail: str) -> None:
        """
        Fail a scrape: its answer is broken before it began to be handed on.

        @raise UnknownScrape: if nobody waits for it.
        """
        scrape = self._expected(id)
        error = BrokenAnswer(scrape.registration.name, reason, detail)
        self._finish(scrape, "broken", Failure(error))

    # The end.

    def stop(self) -> Deferred[None]:
        """
        Take no new scrapes, and let those in flight end; then end all polls.

        @return: fires when no scrape and no poll is left.
        """
        self.stopping = True
        drained = self._drained = Deferred()
        if not self._scrapes:
            self._drained = None
            drained.callback(None)
        return drained.addCallback(lambda _: self._endPolls())

    def _endPolls(self) -> None:
        self._ended = True
        for parked in self._roll.parked():
            self._end(parked, Stopping())
        self._roll.clear()
