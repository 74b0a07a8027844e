"""
When to poll: at once after each reply, later after each failure, and with more
than one poll while scrapes come faster than round trips.

What becomes of a scrape is for L{pushprox.client.scraping}, how a poll gets to
the proxy for L{pushprox.client.uplink}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from math import floor
from random import uniform

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pushprox.client.measures import Measures
from pushprox.client.refusals import explained
from pushprox.client.scraping import Scraping
from pushprox.client.uplink import Reply, Uplink, UplinkError
from pushprox.headers import MalformedMessage
from pushprox.message import Request

#: A poll that brought nothing and was held for less is not repeated at once: a
#: proxy that does not wait would be asked without end. In seconds, like all
#: that follow.
HELD = 1.0

#: How long the first poll is to be held: its reply shows that the proxy is there.
FIRST_WAIT = 2.0

#: A poll that was held for so long and then cut did its work: something on the
#: way has an idle timeout. The next follows at once.
HELD_LONG = 10.0

#: For how long to keep to one poll after the proxy ended one.
SOBER = 60.0

#: How much longer than the proxy was asked to wait we wait for its reply.
PATIENCE = 10.0


@attrs.frozen
class Pace:
    """
    How the client polls: times in seconds.

    @ivar initialWait: the pause after a first failure.
    @ivar maxWait: the longest pause.
    @ivar wait: for how long the proxy is asked to hold a poll.
    @ivar polls: how many polls there may be at a time.
    """

    initialWait: float = 1.0
    maxWait: float = 5.0
    wait: float = 25.0
    polls: int = 4

    def pause(self, failures: int, jitter: Callable[[float, float], float]) -> float:
        """
        @param failures: how many there were in a row, 1 or more.
        @return: how long to wait: half as much again each time, and a random
            half more or less, so that clients do not come back all at once.
        """
        # More steps would only make a float overflow.
        steps = min(failures - 1, 50)
        return min(self.initialWait * 1.5**steps * jitter(0.5, 1.5), self.maxWait)


class PollFailed(Exception):
    """
    A poll brought neither a scrape nor the word that there is none.

    @ivar held: for how long it was held, in seconds; 0 if it got nowhere.
    @ivar kind: which kind of trouble this is: its text may be another each
        time, such as a web server's page with the number of the request.
    """

    def __init__(self, text: str, held: float, kind: str) -> None:
        super().__init__(text)
        self.held = held
        self.kind = kind


@attrs.define(eq=False)
class Polling(Service):
    """
    Polls for as long as it runs, whatever the proxy does.

    @ivar jitter: gives a random number between two others.
    @ivar atEnd: what to close when the last answer is pushed.
    """

    clock: IReactorTime
    uplink: Uplink
    scraping: Scraping
    measures: Measures
    pace: Pace
    jitter: Callable[[float, float], float] = uniform
    atEnd: Sequence[Callable[[], Deferred[None]]] = ()

    connected: bool = attrs.field(default=False, init=False)
    open: int = attrs.field(default=0, init=False)
    _strands: list[Deferred[None]] = attrs.field(factory=list, init=False)
    _soberUntil: float = attrs.field(default=0.0, init=False)
    _maxPolls: int = attrs.field(default=1, init=False)
    _announced: bool = attrs.field(default=False, init=False)
    _wait: float = attrs.field(init=False)
    _cuts: list[float] = attrs.field(factory=list, init=False)
    _troubles: set[str] = attrs.field(factory=set, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._wait = self.pace.wait

    def startService(self) -> None:
        """
        Begin to poll.
        """
        super().startService()
        self._log.info(
            "Polling {proxy} as {name}",
            proxy=self.uplink.location.base,
            name=self.uplink.name,
        )
        self._addStrand(self._pollForever())

    def stopService(self) -> Deferred[None]:
        """
        Poll no more, and finish what is in hand.
        """
        super().stopService()
        for strand in list(self._strands):
            strand.cancel()
        return Deferred.fromCoroutine(self._finish())

    async def _finish(self) -> None:
        await self.scraping.finish()
        for close in self.atEnd:
            await close()

    # How many polls there are.

    @property
    def _allowed(self) -> int:
        if self.clock.seconds() < self._soberUntil:
            return 1
        return min(self.pace.polls, self._maxPolls)

    def _addStrand(self, coroutine: Coroutine[Deferred[object], object, None]) -> None:
        """
        Have one more sequence of polls, each after the reply to the last.
        """
        strand = Deferred.fromCoroutine(coroutine)
        self._strands.append(strand)

        def ended(result: object) -> object:
            self._strands.remove(strand)
            return result

        strand.addBoth(ended).addErrback(lambda failure: failure.trap(CancelledError))

    async def _pollForever(self) -> None:
        """
        The one strand that there always is.
        """
        failures = 0
        while True:
            try:
                await self._pollOnce()
            except PollFailed as failure:
                if failure.held >= HELD_LONG:
                    failures = 0
                    pause = 0.0
                else:
                    failures += 1
                    pause = self.pace.pause(failures, self.jitter)
                self._complain(failure, pause)
                await deferLater(self.clock, pause)
            else:
                failures = 0

    async def _pollWhileBusy(self) -> None:
        """
        One more strand, for as long as it brings scrapes.
        """
        try:
            while (
                await self._pollOnce(mayRepeat=False)
                and len(self._strands) <= self._allowed
            ):
                pass
        except PollFailed as failure:
            self._complain(failure, None)

    # One poll.

    async def _pollOnce(self, mayRepeat: bool = True) -> bool:
        """
        @param mayRepeat: whether it may be sent once more on a new connection.
            What listens there may be a proxy that takes one poll only.
        @return: whether it brought a scrape.
        @raise PollFailed: if it brought neither that nor the word that there is
            none.
        """
        wait = self._wait if self.connected else min(self._wait, FIRST_WAIT)
        began = self.clock.seconds()
        self.open += 1
        try:
            reply = await self.uplink.poll(
                wait, PATIENCE, self.scraping.inHand, mayRepeat
            )
        except TimeoutError:
            if self._announced:
                held = self.clock.seconds() - began
                text = f"no reply in {held:.0f} s: the line to the proxy is dead"
                raise PollFailed(text, held, "dead line") from None
            # A proxy of the reference holds a poll until there is a scrape.
            self._reached(None)
            return False
        except UplinkError as error:
            held = self.clock.seconds() - began if error.sent else 0.0
            self._learnCut(held)
            # The class of what went wrong: its text may quote any garbage.
            kind = type(error.__cause__).__name__
            raise PollFailed(str(error), held, kind) from None
        finally:
            self.open -= 1
        try:
            return self._read(reply)
        except PollFailed:
            raise
        except Exception:
            # A client that polls no more is of no use to anybody.
            self._log.failure("A poll failed in the client")
            raise PollFailed("see the error above", reply.held, "fault") from None

    def _read(self, reply: Reply) -> bool:
        """
        @return: whether this is a scrape, which is begun then.
        """
        self._announced = reply.version is not None
        self._maxPolls = reply.maxPolls
        if reply.status == 200:
            try:
                request = Request.fromBytes(reply.body)
                self.scraping.take(request, announced=reply.version is not None)
            except MalformedMessage as error:
                said = self.uplink.credentials.hiddenIn(str(error))
                text = f"expected a scrape from the proxy: {said}"
                raise PollFailed(text, reply.held, "no scrape") from None
            self._reached(reply)
            self._growIfBusy(reply)
            return True
        if reply.status == 204 and reply.held >= HELD:
            self._reached(reply)
            return False
        if reply.status == 408:
            self._soberUntil = self.clock.seconds() + SOBER
        if reply.version is None and reply.status in (502, 503, 504):
            self._learnCut(reply.held)
        text = explained(reply, "poll", self.uplink)
        raise PollFailed(text, reply.held, str(reply.status))

    def _growIfBusy(self, reply: Reply) -> None:
        """
        A scrape that waited for our poll at the proxy says that there may be
        more than one poll can fetch.
        """
        roundTrip = self.uplink.roundTrip
        isBusy = roundTrip is not None and reply.held <= 2 * roundTrip
        if isBusy and len(self._strands) < self._allowed:
            self._addStrand(self._pollWhileBusy())

    def _learnCut(self, held: float) -> None:
        """
        A poll was cut after so many seconds. Three times the same is no chance:
        something on the way has an idle timeout, and we had better be quicker.
        """
        if not HELD < held < self._wait:
            return
        self._cuts = [cut for cut in self._cuts if abs(cut - held) <= 0.1 * held]
        self._cuts.append(held)
        if len(self._cuts) == 3:
            # In whole seconds, as the proxy is asked: rounded up, it might be too late.
            self._wait = max(HELD, floor(0.8 * min(self._cuts)))
            self._cuts = []
            self._log.info(
                "Polls are cut after {held:.0f} s by something between us and the"
                " proxy: asking for an answer within {wait:.0f} s from now on",
                held=held,
                wait=self._wait,
            )

    # How it goes.

    def _reached(self, reply: Reply | None) -> None:
        """
        The proxy is there.
        """
        if reply is not None and self._cuts and reply.held > max(self._cuts):
            self._cuts = []
        if not self.connected:
            self.connected = True
            self._troubles.clear()
            version = "an unknown version"
            if reply is not None and reply.version is not None:
                version = f"version {reply.version}"
            self._log.info(
                "Connected as {name} to the proxy at {proxy} ({version})",
                name=self.uplink.name,
                proxy=self.uplink.location.base,
                version=version,
            )

    def _complain(self, failure: PollFailed, pause: float | None) -> None:
        """
        Say what is wrong, once for each kind of trouble.
        """
        self.measures.pollFailed()
        known = failure.kind in self._troubles
        self._troubles.add(failure.kind)
        say = self._log.debug if known else self._log.warn
        say(
            "Poll at {proxy} failed: {trouble}",
            proxy=self.uplink.location.base,
            trouble=str(failure),
            pause=pause,
        )
        if pause:
            self.connected = False
