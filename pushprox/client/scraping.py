"""
The scrapes this client has in hand: each is done and its answer pushed.
"""

from __future__ import annotations

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

from pushprox.client.failures import ScrapeFailed
from pushprox.client.measures import Measures
from pushprox.client.target import Targets
from pushprox.client.uplink import Uplink, UplinkError
from pushprox.deadlines import (
    TIMEOUT_HEADER,
    headerFromTimeout,
    lessMargin,
    timeoutFromHeader,
)
from pushprox.headers import MalformedMessage, firstHeader, replaceHeader, without
from pushprox.message import Request, Response, ResponseHead

#: What the proxy waits if it does not say: the default of the reference.
DEFAULT_TIMEOUT = 15.0

#: What it means that a push was refused, by the status of the reply. Between us
#: and the proxy may be others: nginx takes no more than 1 MB if it is not told to.
UNTAKEN = {
    400: "The proxy could not read the target's answer",
    413: "A web server on the way to the proxy refused the target's answer",
}

#: A turn that was waited for so long was part of why a target seemed slow, in
#: seconds.
LONG_TURN = 0.5


@attrs.frozen
class _Errand:
    """
    One scrape, as the proxy asked for it.

    @ivar due: when the proxy stops waiting, on the clock.
    """

    id: bytes
    request: Request
    began: float
    due: float

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

    _turns: DeferredSemaphore = attrs.field(init=False)
    _inHand: dict[bytes, Deferred[None]] = attrs.field(factory=dict, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._turns = DeferredSemaphore(self.concurrency)

    @property
    def inHand(self) -> list[bytes]:
        """
        The ids of the scrapes not answered yet, the newest last.
        """
        return list(self._inHand)

    def take(self, request: Request) -> None:
        """
        Begin a scrape, unless we are at it: a proxy that was not sure that its
        request arrived may send it again.

        @raise MalformedMessage: if the request has no id, so that nobody could
            be answered.
        """
        id = firstHeader(request.headers, b"Id")
        if id is None:
            raise MalformedMessage("the request has no Id header")
        if id in self._inHand:
            return
        now = self.clock.seconds()
        announced = firstHeader(request.headers, TIMEOUT_HEADER)
        timeout = timeoutFromHeader(announced) or DEFAULT_TIMEOUT
        errand = _Errand(id, request, now, now + timeout)

        def failed(failure: Failure) -> None:
            self._log.failure("A scrape failed in the client", failure)

        def done(_: object) -> None:
            del self._inHand[id]

        work = self._inHand[id] = Deferred()
        work.addErrback(failed).addBoth(done)
        doing = Deferred.fromCoroutine(self._do(errand))
        doing.chainDeferred(work)

    async def _do(self, errand: _Errand) -> None:
        count = self.measures.scrapeFailed
        brokeOff = False
        try:
            response = await self._scrape(errand)
            count = self.measures.scraped
            self._log.debug(
                "Scraped {url}: {status}, {size} bytes",
                url=errand.url,
                status=response.head.status,
                size=len(response.body),
            )
        except ScrapeFailed as error:
            self._log.info("{error} ({url})", error=error, url=errand.url)
            response = refusal(errand.request.method, error)
            brokeOff = error.brokeOff
        except Exception:
            self._log.failure("A scrape failed in the client")
            unforeseen = ScrapeFailed(500, "The client failed; its log says more")
            response = refusal(errand.request.method, unforeseen)
        count(response.head.status, self.clock.seconds() - errand.began)
        await self._push(errand, response, brokeOff)

    async def _scrape(self, errand: _Errand) -> Response:
        """
        @raise ScrapeFailed: if there is no answer of the target.
        """
        began = self.clock.seconds()
        waiting: Deferred[DeferredSemaphore] = self._turns.acquire()
        allowed = lessMargin(errand.due - self.clock.seconds())
        try:
            await waiting.addTimeout(allowed, self.clock)
        except TimeoutError:
            raise ScrapeFailed(
                504, f"Client is busy with {self.concurrency} other scrapes"
            ) from None
        try:
            allowed = lessMargin(errand.due - self.clock.seconds())
            headers = replaceHeader(
                errand.request.headers, TIMEOUT_HEADER, headerFromTimeout(allowed)
            )
            request = attrs.evolve(errand.request, headers=headers)
            waited = self.clock.seconds() - began
            return await self.targets.scrape(request, allowed)
        except ScrapeFailed as error:
            if error.status == 504 and waited >= LONG_TURN:
                raise ScrapeFailed(
                    504, f"Client was busy for {waited:.3g} s. {error.reason}"
                ) from None
            raise
        finally:
            self._turns.release()

    async def _push(self, errand: _Errand, response: Response, brokeOff: bool) -> None:
        """
        Push an answer; where the way does not carry it, push the news of that.
        """
        status = await self._pushOnce(errand, response, brokeOff)
        reason = UNTAKEN.get(status or 0)
        if reason is not None:
            error = ScrapeFailed(502, f"{reason} ({len(response.body)} bytes)")
            await self._pushOnce(errand, refusal(errand.request.method, error))

    async def _pushOnce(
        self, errand: _Errand, response: Response, brokeOff: bool = False
    ) -> int | None:
        """
        @param brokeOff: let the push break off as the target did, so that the
            scraper's connection does too: not all look at the status.
        @return: the status of the reply, or L{None} if there was none.
        """
        remaining = errand.due - self.clock.seconds()
        # The reference's proxy waits as long as this header says.
        mine = ((b"Id", errand.id), (TIMEOUT_HEADER, headerFromTimeout(remaining)))
        head = response.head
        headers = (*without(head.headers, b"Id", TIMEOUT_HEADER), *mine)
        data = attrs.evolve(response, head=attrs.evolve(head, headers=headers))
        octets = data.toBytes(errand.request.method)
        if brokeOff and errand.request.method != b"HEAD":
            # To HEAD there is no body that could be short.
            octets = octets[:-1]
        status = None
        try:
            reply = await self.uplink.push(octets, max(remaining, 0.001))
        except TimeoutError:
            problem = "the proxy did not take it in time"
        except UplinkError as error:
            problem = str(error)
        else:
            status = reply.status
            if status < 300:
                self.measures.pushed(len(octets))
                return status
            problem = f"{status} {reply.reason}: {shown(reply.body)}"
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


def refusal(method: bytes, error: ScrapeFailed) -> Response:
    """
    What a scraper gets in place of its target's answer.

    @param method: of its request: an answer to HEAD has no body.
    """
    body = f"{error}\n".encode("utf-8", "replace")
    headers = ((b"Content-Type", b"text/plain; charset=utf-8"),)
    reason = error.reason.encode("ascii")
    head = ResponseHead(error.status, reason, headers, len(body))
    return Response(head, b"" if method == b"HEAD" else body)


def shown(body: bytes) -> str:
    """
    The beginning of a reply's body, in one line, for a log.
    """
    text = body[:200].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()
