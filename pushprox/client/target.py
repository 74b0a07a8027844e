"""
The targets beside this client: one scrape of one of them at a time.

Knows: what a target gets to see of a scrape and a scraper of the answer, which
redirects are followed, and which connection carries which scrape. Does not
know: how an answer is read (L{pushprox.client.answer}), which targets are ours
(L{pushprox.client.policy}), what a failure is called
(L{pushprox.client.failures}), where scrapes come from and answers go.

A scrape goes to its target straight: web proxies are for the way out.
"""

from __future__ import annotations

import re

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from pushprox.client.connecting import endpointFor
from pushprox.client.exchange import BrokenOff, Line, Unanswered
from pushprox.client.failures import FAULTS, ScrapeFailed, reasonOf
from pushprox.client.policy import Destination, NotAllowed, Origin, Policy
from pushprox.headers import Headers, endToEnd, firstHeader, without
from pushprox.message import Request, Response, ResponseHead

__all__ = ["ScrapeFailed", "Targets"]

MAX_REDIRECTS = 10
"""As many as Go follows."""

_REDIRECTS = frozenset([301, 302, 303, 307, 308])

# Harmless to ask for twice, and by another URL (RFC 9110 section 9.2.1).
_SAFE = frozenset([b"GET", b"HEAD"])

# What is written anew, and what is between the client and the proxy.
_notForTargets = re.compile(rb"(?i:host|content-length|id|pushprox-.*)").fullmatch


@attrs.define(eq=False)
class _Collected:
    """
    An answer in memory.
    """

    _head: ResponseHead | None = None
    _pieces: list[bytes] = attrs.field(factory=list)

    def headReceived(self, head: ResponseHead) -> None:
        self._head = head

    def bodyReceived(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def response(self, method: bytes) -> Response:
        """
        @param method: of the request. To HEAD, and with 304, an answer tells
            the length of a body that it does not have (RFC 9110 section 8.6).
        """
        head = self._head
        assert head is not None
        body = b"".join(self._pieces)
        if method != b"HEAD" and head.status != 304:
            head = attrs.evolve(head, length=len(body), chunked=False)
        return Response(head, body)


def _requestBytes(
    request: Request, headers: Headers, destination: Destination
) -> bytes:
    """
    @return: the request as the target sees it (RFC 9112 section 3).
    """
    fields = [(b"Host", destination.authority), *headers]
    if request.body:
        fields.append((b"Content-Length", b"%d" % len(request.body)))
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (
        request.method,
        destination.resource,
        b"".join([b"%b: %b\r\n" % field for field in fields]),
        request.body,
    )


@attrs.define(eq=False)
class Targets:
    """
    The targets of one client, and the connections to them.

    @ivar _reactor: which connects, and is the clock.
    @ivar _policy: what may be scraped.
    @ivar _tls: what a target has to prove over TLS.
    @ivar _idleTimeout: seconds that a connection rests before it is closed.
    @ivar _maxIdlePerTarget: connections to one scheme, host and port that rest.
    @ivar _lines: all connections, and which scheme, host and port they lead to.
    @ivar _scrapes: those under way.
    @ivar _closed: fires when nothing is left, after L{close}.
    """

    _reactor: IReactorTime
    _policy: Policy
    _tls: IPolicyForHTTPS
    _idleTimeout: float = 50.0
    _maxIdlePerTarget: int = 2
    _lines: dict[Line, Origin] = attrs.field(factory=dict, init=False)
    _scrapes: set[Deferred[Response]] = attrs.field(factory=set, init=False)
    _closed: Deferred[None] | None = attrs.field(default=None, init=False)

    def scrape(self, request: Request, timeout: float) -> Deferred[Response]:
        """
        Ask a target, and follow its redirects within our own name. To cancel is
        to close the connection.

        @param request: as it came from the proxy, with its absolute URL.
        @param timeout: seconds for all of it, from the connection to the last
            byte.

        @return: fires with the target's answer, less what ends at this hop, or
            fails with L{ScrapeFailed}.
        """
        try:
            destination = self._policy.destination(request.url)
        except NotAllowed as error:
            return fail(ScrapeFailed(403, str(error)))
        except ValueError as error:
            return fail(ScrapeFailed(400, f"Bad URL: {error}"))

        def tooLate(_: object, seconds: float) -> Response:
            reason = f"Target did not answer in {round(seconds, 2):g} s"
            raise ScrapeFailed(504, reason, str(destination))

        def giveUp(reason: Failure) -> Failure:
            scraping.cancel()
            return reason

        def forget(_: object) -> None:
            self._scrapes.discard(scraping)
            self._checkClosed()

        # Without a canceller of its own, it fails with CancelledError at once
        # when cancelled, and ignores what the end of the scrape then makes of
        # that: for a lookup of a name, that it failed.
        answer: Deferred[Response] = Deferred()
        answer.addErrback(giveUp)
        answer.addTimeout(timeout, self._reactor, tooLate)
        scraping = Deferred.fromCoroutine(self._scrape(request, destination, timeout))
        self._scrapes.add(scraping)
        scraping.chainDeferred(answer)
        scraping.addBoth(forget)
        return answer

    def close(self) -> Deferred[None]:
        """
        Let no connection rest any more. Scrapes that are under way go on: who
        asked for them may cancel them.

        @return: fires when the last scrape has ended and the last connection is
            gone.
        """
        self._closed = closed = Deferred[None]()
        for line in [each for each in self._lines if each.idle]:
            line.leave()
        self._checkClosed()
        return closed

    def _checkClosed(self) -> None:
        closed = self._closed
        if closed and not closed.called and not self._lines and not self._scrapes:
            closed.callback(None)

    async def _scrape(
        self, request: Request, destination: Destination, timeout: float
    ) -> Response:
        headers = tuple(
            [each for each in endToEnd(request.headers) if not _notForTargets(each[0])]
        )
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._ask(request, headers, destination, timeout)
            onward = self._onward(request.method, destination, response.head)
            if onward is None:
                return response
            if onward.origin != destination.origin:
                # Another port may be another user's, and http is read by all.
                headers = without(headers, b"authorization", b"cookie")
            destination = onward
        raise ScrapeFailed(
            502, f"Target redirects more than {MAX_REDIRECTS} times", str(destination)
        )

    def _onward(
        self, method: bytes, destination: Destination, head: ResponseHead
    ) -> Destination | None:
        """
        @return: where to ask next, or L{None} if this is the answer.
        """
        location = firstHeader(head.headers, b"location")
        if head.status not in _REDIRECTS or method not in _SAFE or not location:
            return None
        return self._policy.redirect(destination, location)

    async def _ask(
        self,
        request: Request,
        headers: Headers,
        destination: Destination,
        timeout: float,
    ) -> Response:
        """
        One request and its answer.
        """
        octets = _requestBytes(request, headers, destination)
        try:
            if request.method in _SAFE and (
                resting := self._resting(destination.origin)
            ):
                try:
                    return await self._exchange(resting[-1], request.method, octets)
                except Unanswered:
                    # The target closed it just when we took it (RFC 9112
                    # section 9.3.1): that tells nothing about the target.
                    pass
            line = await self._connect(destination, timeout)
            return await self._exchange(line, request.method, octets)
        except FAULTS as error:
            reason = reasonOf(error, destination.host)
            brokeOff = isinstance(error, BrokenOff)
            raise ScrapeFailed(502, reason, str(destination), brokeOff) from error

    async def _exchange(self, line: Line, method: bytes, octets: bytes) -> Response:
        origin = self._lines[line]
        collected = _Collected()
        await line.exchange(method, octets, collected)
        if self._closed or len(self._resting(origin)) >= self._maxIdlePerTarget:
            line.leave()
        else:
            line.rest(self._idleTimeout)
        return collected.response(method)

    def _resting(self, origin: Origin) -> list[Line]:
        """
        @return: the connections to a target that can be taken, oldest first.
        """
        return [line for line, to in self._lines.items() if line.idle and to == origin]

    async def _connect(self, destination: Destination, timeout: float) -> Line:
        endpoint = endpointFor(
            self._reactor, destination.host, destination.port, timeout
        )
        if destination.scheme == "https":
            name = destination.host.encode("ascii")
            creator = self._tls.creatorForNetloc(name, destination.port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        line = Line(self._reactor, self._forgetLine)
        await connectProtocol(endpoint, line)
        self._lines[line] = destination.origin
        return line

    def _forgetLine(self, line: Line) -> None:
        del self._lines[line]
        self._checkClosed()
