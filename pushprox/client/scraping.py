"""
The scrapes this client has in hand: each is done, and its answer pushed while
it comes.

Does not know how an answer is framed in a push (L{pushprox.client.pushing}
does).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import (
    Deferred,
    DeferredSemaphore,
    TimeoutError,
    gatherResults,
)
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pushprox.client.arriving import Arriving, Unwanted
from pushprox.client.body import Passage, Whole
from pushprox.client.failures import ScrapeFailed
from pushprox.client.measures import Measures
from pushprox.client.pushing import (
    LENGTH_REQUIRED,
    MAX_HELD,
    mustBeHeld,
    pushOf,
    refusalOf,
    tooLong,
    untaken,
)
from pushprox.client.refusals import explained
from pushprox.client.target import Targets
from pushprox.client.uplink import Uplink, UplinkError
from pushprox.deadlines import TIMEOUT_HEADER, lessMargin, timeoutFromHeader
from pushprox.headers import MalformedMessage, firstHeader
from pushprox.message import Request

#: What the proxy waits if it does not say: the default of the reference.
DEFAULT_TIMEOUT = 15.0

#: A turn that was waited for so long was part of why a target seemed slow, in
#: seconds.
LONG_TURN = 0.5


@attrs.frozen
class _Errand:
    """
    One scrape, as the proxy asked for it.

    @ivar due: when the proxy stops waiting, on the clock.
    @ivar announced: whether the proxy told what it is.
    """

    id: bytes
    request: Request
    began: float
    due: float
    announced: bool

    @property
    def url(self) -> str:
        """
        The URL for a log: its query may hold a secret.
        """
        return self.request.url.partition(b"?")[0].decode("latin-1")


@attrs.define(eq=False)
class Scraping:
    """
    Does scrapes, so many at a time; the others wait their turn.
    """

    clock: IReactorTime
    targets: Targets
    uplink: Uplink
    measures: Measures
    concurrency: int = 100
    maxHeld: int = MAX_HELD

    _turns: DeferredSemaphore = attrs.field(init=False)
    _inHand: dict[bytes, Deferred[None]] = attrs.field(factory=dict, init=False)
    _needsLength: bool = attrs.field(default=False, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._turns = DeferredSemaphore(self.concurrency)

    @property
    def inHand(self) -> list[bytes]:
        """
        The ids of the scrapes not answered yet, the newest last.
        """
        return list(self._inHand)

    def take(self, request: Request, announced: bool) -> None:
        """
        Begin a scrape, unless we are at it: a proxy that was not sure that its
        request arrived may send it again.

        @param announced: whether the proxy told what it is. If not, it is one of
            the reference.

        @raise MalformedMessage: if the request has no id, so that nobody could
            be answered.
        """
        id = firstHeader(request.headers, b"Id")
        if id is None:
            raise MalformedMessage("the request has no Id header")
        if id in self._inHand:
            return
        now = self.clock.seconds()
        told = firstHeader(request.headers, TIMEOUT_HEADER)
        timeout = timeoutFromHeader(told) or DEFAULT_TIMEOUT
        errand = _Errand(id, request, now, now + timeout, announced)

        def failed(failure: Failure) -> None:
            self._log.failure("A scrape failed in the client", failure)

        def done(_: object) -> None:
            del self._inHand[id]

        work = self._inHand[id] = Deferred()
        work.addErrback(failed).addBoth(done)
        doing = Deferred.fromCoroutine(self._do(errand))
        doing.chainDeferred(work)

    async def _do(self, errand: _Errand) -> None:
        try:
            answer = await self._answer(errand)
        except ScrapeFailed as error:
            self._failed(errand, error, error.status)
            await self._refuse(errand, error)
        except Exception:
            self._log.failure("A scrape failed in the client")
            unforeseen = ScrapeFailed(500, "The client failed; its log says more")
            self._count(self.measures.scrapeFailed, errand, unforeseen.status)
            await self._refuse(errand, unforeseen)
        else:
            await self._bring(errand, answer)

    def _count(
        self, count: Callable[[int, float], None], errand: _Errand, status: int
    ) -> None:
        count(status, self.clock.seconds() - errand.began)

    def _failed(self, errand: _Errand, error: ScrapeFailed, status: int) -> None:
        """
        @param status: what the scraper gets to see.
        """
        self._log.info("{error} ({url})", error=error, url=errand.url)
        self._count(self.measures.scrapeFailed, errand, status)

    # The target's side.

    async def _answer(self, errand: _Errand) -> Arriving:
        """
        Scrape, when it is its turn.

        @return: an answer that can be pushed while it comes.
        @raise ScrapeFailed: if there is no answer of the target.
        """
        began = self.clock.seconds()
        await self._turn(errand.due - began)
        waited = self.clock.seconds() - began
        try:
            return await self._begun(errand)
        except ScrapeFailed as error:
            if error.status == 504 and waited >= LONG_TURN:
                raise ScrapeFailed(
                    504, f"Client was busy for {waited:.3g} s. {error.reason}"
                ) from None
            raise

    async def _turn(self, remaining: float) -> None:
        turn = self._turns.acquire()
        if not turn.called:
            turn.addTimeout(lessMargin(remaining), self.clock)
        try:
            await turn
        except TimeoutError:
            raise ScrapeFailed(
                504, f"Client is busy with {self.concurrency} other scrapes"
            ) from None

    async def _begun(self, errand: _Errand) -> Arriving:
        """
        Scrape. The turn is over when the answer has ended.
        """
        allowed = lessMargin(errand.due - self.clock.seconds())
        try:
            answer = await self.targets.scrape(errand.request, allowed)
        except BaseException:
            self._turns.release()
            raise
        answer.ended.addCallback(lambda _: self._turns.release())
        if mustBeHeld(answer) and (self._needsLength or not errand.announced):
            await answer.hold(self.maxHeld, tooLong(self.maxHeld))
            if answer.fault is not None:
                raise answer.fault
        return answer

    # The proxy's side.

    async def _bring(self, errand: _Errand, answer: Arriving) -> None:
        """
        Push an answer while it comes. Where the way does not carry it, push the
        news of that.
        """
        remaining = errand.due - self.clock.seconds()
        body = pushOf(answer, errand.request.method, errand.id, remaining)

        def ended(_: None) -> None:
            status, fault = answer.head.status, answer.fault
            if isinstance(fault, ScrapeFailed):
                self._failed(errand, fault, status if body.started else fault.status)
                return
            self._count(self.measures.scraped, errand, status)
            self._log.debug(
                "Scraped {url}: {status}, {size} bytes",
                url=errand.url,
                status=status,
                size=answer.size,
            )

        answer.ended.addCallback(ended)
        try:
            status = await self._push(errand, body, remaining)
        finally:
            # Whatever became of the push, nothing of the answer stays behind.
            answer.breakOff(Unwanted())
        if status == LENGTH_REQUIRED:
            # It will not be otherwise the next time.
            self._needsLength = True
        news = untaken(status, answer) if body.started else answer.fault
        if isinstance(news, ScrapeFailed):
            await self._refuse(errand, news)

    async def _refuse(self, errand: _Errand, error: ScrapeFailed) -> None:
        """
        Push the news that there is no answer.
        """
        remaining = errand.due - self.clock.seconds()
        octets = refusalOf(error, errand.request.method, errand.id, remaining)
        await self._push(errand, Whole(octets), remaining)

    async def _push(
        self, errand: _Errand, body: Passage | Whole, remaining: float
    ) -> int | None:
        """
        @return: the status of the reply, or L{None} if there was none.
        """
        status = None
        try:
            reply = await self.uplink.push(body, max(remaining, 0.001))
        except ScrapeFailed:
            # No fault of the push, which had to break off with its target.
            return None
        except TimeoutError:
            problem = "the proxy did not take it in time"
        except UplinkError as error:
            problem = str(error)
        else:
            status = reply.status
            if status < 300:
                self.measures.pushed(body.sent)
                return status
            problem = explained(reply, "push", self.uplink)
        self.measures.pushFailed()
        self._log.warn(
            "Push for {url} failed: {problem}",
            url=errand.url,
            problem=problem,
        )
        return status

    def finish(self) -> Deferred[None]:
        """
        @return: fires when nothing is in hand any more; none of it lives longer
            than its deadline.
        """
        ended: Deferred[list[None]] = gatherResults(
            [work.addBoth(lambda _: None) for work in self._inHand.values()]
        )
        return ended.addCallback(lambda _: None)
