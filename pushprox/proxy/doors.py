"""
The three doors to the coordinator: the scrape (any request in absolute form),
C{/poll} and C{/push}. What a request there means, and how each outcome looks on
the wire.

The reason phrase of a scrape that failed is written to be read by a person:
Prometheus shows its user nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from pushprox.deadlines import (
    OFFSET,
    TIMEOUT_HEADER,
    headerFromTimeout,
    lessMargin,
    timeoutFromHeader,
)
from pushprox.framing import IncompleteMessage
from pushprox.headers import (
    Headers,
    MalformedMessage,
    allHeaders,
    endToEnd,
    firstHeader,
    replaceHeader,
    without,
)
from pushprox.message import Request as Scrape
from pushprox.message import Response, ResponseDecoder
from pushprox.names import TargetUrl, canonicalName, nameFromText
from pushprox.proxy.coordinator import Coordinator, Instruction
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
from pushprox.proxy.registration import Poll
from pushprox.request import Request

#: What the two programs say to each other and nobody else is to see. (A target
#: may be a proxy, too: its version is not this proxy's.)
_OURS = (
    b"Id",
    TIMEOUT_HEADER,
    b"X-Prometheus-Scrape-Timeout",
    b"Pushprox-Version",
)

#: A name that was not polled for so long is away; less is the pause between two
#: polls. In seconds.
AWAY = 1.0

#: Bytes of a scrape's own body: it travels in the reply to a poll, whole.
MAX_SCRAPE_BODY = 8 * 1024 * 1024

_WAIT = re.compile(rb"(?:.*,)?\s*wait\s*=\s*([0-9]{1,6})\s*(?:[,;].*)?", re.IGNORECASE)


@attrs.frozen
class Timeouts:
    """
    How long a scrape may take, in seconds.

    @ivar default: where the scraper does not say.
    @ivar maximum: whatever the scraper says.
    @ivar offset: how much earlier than the scraper the proxy gives up, so that
        its reason arrives before the scraper hangs up.
    """

    default: float = 15.0
    maximum: float = 300.0
    offset: float = OFFSET

    def budget(self, announced: bytes | None) -> float:
        """
        @param announced: the scraper's header.
        @return: the seconds until an answer is due.
        """
        timeout = min(timeoutFromHeader(announced) or self.default, self.maximum)
        return lessMargin(timeout, self.offset)


class Answer(Exception):
    """
    Ends the work on a request with a status and its reason. Raised where a
    request cannot be served.

    @ivar breaks: whether the reply is to break off as well, so that it also
        fails for who looks at no status, such as curl.
    """

    def __init__(
        self, status: int, reason: str, text: str | None = None, breaks: bool = False
    ) -> None:
        super().__init__(reason)
        self.breaks = breaks
        self.status = status
        self.reason = reason
        self.text = text or reason


class Door(Resource):
    """
    A resource whose work is a coroutine.
    """

    isLeaf = True
    methods: tuple[bytes, ...] = ()
    _log = Logger()

    def render(self, request: Request) -> int:
        """
        Begin the work; a hang-up cancels it.
        """
        work = Deferred.fromCoroutine(self._work(request))
        gone = False

        def hangUp(_: Failure) -> None:
            nonlocal gone
            gone = True
            work.cancel()

        request.notifyFinish().addErrback(hangUp)

        def end(result: object) -> None:
            if not gone:
                request.finish()

        def fail(failure: Failure) -> None:
            if not gone:
                self._log.failure("A request failed in the proxy", failure)
                writeText(request, 500, "The proxy failed; its log says more")

        work.addErrback(fail).addBoth(end)
        return NOT_DONE_YET

    async def _work(self, request: Request) -> None:
        try:
            if self.methods and request.method not in self.methods:
                request.setHeader(b"Allow", b", ".join(self.methods))
                raise Answer(405, "Method Not Allowed")
            await self.answer(request)
        except Answer as answer:
            writeText(request, answer.status, answer.reason, answer.text, answer.breaks)
        except Full as error:
            writeText(request, 503, f"The proxy is full: {error.limit} {error.what}")
        except Stopping:
            writeText(request, 503, "The proxy is stopping")

    async def answer(self, request: Request) -> None:
        """
        Write the reply, but do not finish it.

        @raise Answer: instead of writing one.
        """
        raise NotImplementedError  # pragma: no cover


def writeText(
    request: server.Request,
    status: int,
    reason: str,
    text: str | None = None,
    breaks: bool = False,
) -> None:
    """
    Answer with a line of text.

    @param breaks: close the connection a byte short of what was announced.
    """
    body = f"{text or reason}\n".encode()
    request.setResponseCode(status, reason.encode("ascii", "replace"))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    request.setHeader(b"Content-Length", b"%d" % (len(body) + breaks))
    request.write(body)
    if breaks:
        request.loseConnection()


def bodyOf(request: Request) -> bytes:
    """
    The whole body of a request.
    """
    assert request.content is not None
    body: bytes = request.content.read()
    return body


class ScrapeDoor(Door):
    """
    A scraper's request in absolute form: done by a client, far away.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        timeouts: Timeouts,
        nameLimit: int,
        bytesCarried: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._timeouts = timeouts
        self._nameLimit = nameLimit
        self._bytesCarried = bytesCarried

    async def answer(self, request: Request) -> None:
        """
        Have the scrape done and hand its answer on.
        """
        if request.method == b"CONNECT":
            raise Answer(
                501,
                "CONNECT is not supported: scrape http with the parameter"
                " _scheme=https",
            )
        try:
            host = TargetUrl.fromBytes(request.uri).host.encode("ascii")
            name = canonicalName(nameFromText(host, self._nameLimit))
            scrape = Scrape(
                request.method,
                request.uri,
                scrapeHeaders(request),
                bodyOf(request),
            )
        except ValueError as error:
            raise Answer(400, "Bad Request", str(error)) from None
        if len(scrape.body) > MAX_SCRAPE_BODY:
            raise Answer(413, f"A scrape may have {MAX_SCRAPE_BODY} bytes of body")
        budget = self._timeouts.budget(request.getHeader(TIMEOUT_HEADER))
        try:
            response = await self._coordinator.scrape(name, scrape, budget)
        except UnknownName:
            raise Answer(503, f"No PushProx client named {name}") from None
        except NotTaken as error:
            reason = f"{name} took no scrape in {inSeconds(budget)}"
            if error.silence >= AWAY:
                reason = f"No poll from {name} for {inSeconds(error.silence)}"
            raise Answer(504, reason) from None
        except NotAnswered as error:
            raise Answer(
                504, f"{name} did not answer in {inSeconds(error.waited)}"
            ) from None
        except BrokenAnswer as error:
            reason = error.reason or f"The answer of {name} broke off"
            text = f"{name}: {error.reason or error.detail}"
            raise Answer(502, reason, text, breaks=True) from None
        self._write(request, response)

    def _write(self, request: Request, response: Response) -> None:
        """
        Give the scraper the target's answer, whole.
        """
        head = response.head
        _, date, version = request.site.signature
        fields = [version, *without(head.headers, *_OURS)]
        if firstHeader(head.headers, b"Date") is None:
            # RFC 9110 section 6.6.1.
            fields.insert(0, date)
        length: int | None = len(response.body)
        if request.method == b"HEAD":
            length = head.length
        if length is not None and head.status not in (204, 304):
            fields.append((b"Content-Length", b"%d" % length))
        self._bytesCarried(len(response.body))
        request.reply(head.status, head.reason, fields, response.body)
        self._log.debug(
            "Scraped {url}: {status}, {size} bytes",
            url=request.path.decode("latin-1"),
            status=head.status,
            size=len(response.body),
        )


def inSeconds(seconds: float) -> str:
    """
    A duration as a person reads it.
    """
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def scrapeHeaders(request: Request) -> Headers:
    """
    The headers of a scraper that may reach a client: not what ended at the
    proxy, not the scraper's credentials for it, and no C{Id}, which would let
    a scraper choose whose answer it gets.
    """
    return without(endToEnd(tuple(request.fields)), b"Id", b"Expect")


class PollDoor(Door):
    """
    C{POST /poll}: a client asks for work and waits until there is some.
    """

    methods = (b"POST",)

    def __init__(self, coordinator: Coordinator, nameLimit: int) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._nameLimit = nameLimit

    async def answer(self, request: Request) -> None:
        """
        Park the poll; its reply is a whole request for the client to do.
        """
        limit = self._coordinator.rules.pollsPerInstance
        request.setHeader(b"Pushprox-Max-Polls", b"%d" % limit)
        try:
            spelling = nameFromText(bodyOf(request), self._nameLimit)
        except ValueError as error:
            raise Answer(400, "Bad Request", str(error)) from None
        preference = _WAIT.fullmatch(request.getHeader(b"Prefer") or b"")
        instance = request.getHeader(b"Pushprox-Instance")
        taken = request.getHeader(b"Pushprox-Taken") or b""
        poll = Poll(
            name=canonicalName(spelling),
            spelling=spelling,
            line=request.channel,
            instance=instance[:64] if instance else None,
            taken=listedIds(taken) if instance else None,
            wait=max(1.0, float(preference[1])) if preference else None,
        )
        if poll.wait is not None:
            request.setHeader(b"Preference-Applied", b"wait=%d" % poll.wait)
        try:
            instruction = await self._coordinator.poll(poll)
        except Superseded:
            # To the letter what the reference says; its logs are searched for.
            raise Answer(
                408,
                "Request Timeout",
                "Error WaitForScrapeInstruction: request is expired",
            ) from None
        if instruction is None:
            request.setResponseCode(204)
            return
        body = instructionBytes(instruction)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Content-Length", b"%d" % len(body))
        request.write(body)


def listedIds(value: bytes) -> frozenset[bytes]:
    """
    The ids in a C{Pushprox-Taken} header.
    """
    return frozenset(id.strip() for id in value.split(b","))


def instructionBytes(instruction: Instruction) -> bytes:
    """
    A scrape as the client gets it: with its id, the time that remains, and the
    host as this client spells it, since clients of the reference compare bytes.
    """
    scrape = instruction.request
    url = attrs.evolve(TargetUrl.fromBytes(scrape.url), host=instruction.spelling)
    remaining = headerFromTimeout(instruction.remaining)
    headers = replaceHeader(scrape.headers, TIMEOUT_HEADER, remaining)
    headers = (*headers, (b"Id", instruction.id))
    return attrs.evolve(scrape, url=url.toBytes(), headers=headers).toBytes()


class PushDoor(Door):
    """
    C{POST /push}: a client brings the answer of a target.
    """

    methods = (b"POST",)

    def __init__(self, coordinator: Coordinator) -> None:
        super().__init__()
        self._coordinator = coordinator

    async def answer(self, request: Request) -> None:
        """
        Hand the answer to whoever waits for it. What is broken is said to both
        sides, and is never handed on.
        """
        decoder, body, fault = ResponseDecoder(), b"", None
        try:
            body = decoder.feed(bodyOf(request))
        except MalformedMessage as error:
            fault = error
        head = decoder.head
        if head is None:
            raise pushFailed(400, str(fault or "the answer broke off in its head"))
        ids = allHeaders(head.headers, b"Id")
        if len(ids) != 1:
            raise pushFailed(400, f"expected one Id header, got {len(ids)}")
        try:
            scrape = self._coordinator.expected(ids[0])
        except UnknownScrape:
            raise pushFailed(
                404, "nobody waits for this scrape: it is late, or was never given out"
            ) from None
        try:
            if fault is not None:
                raise fault
            decoder.end(scrape.method)
            if head.status < 200:
                raise MalformedMessage(f"status {head.status} is no answer")
        except MalformedMessage as error:
            isNews = head.status >= 400 and isinstance(error, IncompleteMessage)
            # Our client tells in this way of a target that broke off.
            reason = head.reason.decode("latin-1") if isNews else None
            self._coordinator.breakOff(ids[0], reason, str(error))
            if not isNews:
                raise pushFailed(400, str(error)) from None
        else:
            self._coordinator.push(ids[0], Response(head, body))
        request.setHeader(b"Content-Length", b"0")


def pushFailed(status: int, text: str) -> Answer:
    """
    What a client is told, in the words of the reference.
    """
    reason = {400: "Bad Request", 404: "Not Found"}[status]
    return Answer(status, reason, f"Error pushing: {text}")
