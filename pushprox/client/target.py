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
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from pushprox.client.arriving import Arriving
from pushprox.client.connecting import endpointFor
from pushprox.client.exchange import BrokenOff, Line, Unanswered
from pushprox.client.failures import FAULTS, ScrapeFailed, reasonOf
from pushprox.client.lines import Lines
from pushprox.client.policy import Destination, NotAllowed, Policy
from pushprox.deadlines import TIMEOUT_HEADER, headerFromTimeout
from pushprox.headers import Headers, endToEnd, firstHeader, without
from pushprox.message import Request

__all__ = ["ScrapeFailed", "Targets"]

MAX_REDIRECTS = 10
"""As many as Go follows."""

MAX_IDLE = 16
"""
Connections to one target that may rest. Exporters that probe others are asked many
times at once, and a new connection costs as much as half a scrape.
"""

_REDIRECTS = frozenset([301, 302, 303, 307, 308])

# Harmless to ask for twice, and by another URL (RFC 9110 section 9.2.1).
_SAFE = frozenset([b"GET", b"HEAD"])

# What is written anew, and what is between the client and the proxy.
_notForTargets = re.compile(
    rb"(?i:host|content-length|id|%b|pushprox-.*)" % TIMEOUT_HEADER
).fullmatch


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


def _explained(destination: Destination, error: Exception) -> ScrapeFailed:
    """
    @param error: one of L{FAULTS}.
    """
    reason = reasonOf(error, destination.host)
    brokeOff = isinstance(error, BrokenOff)
    return ScrapeFailed(502, reason, str(destination), brokeOff)


@attrs.define(eq=False)
class Targets:
    """
    The targets of one client, and the connections to them.

    @ivar _reactor: which connects, and is the clock.
    @ivar _policy: what may be scraped.
    @ivar _tls: what a target has to prove over TLS.
    @ivar _lines: by scheme, host and port.
    @ivar _scrapes: those whose answers have not begun.
    """

    _reactor: IReactorTime
    _policy: Policy
    _tls: IPolicyForHTTPS
    _lines: Lines = attrs.field(init=False)
    _scrapes: set[Deferred[Any]] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._lines = Lines(self._reactor, MAX_IDLE)

    def scrape(self, request: Request, timeout: float) -> Deferred[Arriving]:
        """
        Ask a target, and follow its redirects within our own name. To cancel is
        to close the connection.

        @param request: as it came from the proxy, with its absolute URL.
        @param timeout: seconds for all of it, from the connection to the last
            byte. The target is told.

        @return: fires when the target's answer, less what ends at this hop, has
            begun, or fails with L{ScrapeFailed}, which is also its C{fault} where
            it breaks off.
        """
        try:
            destination = self._policy.destination(request.url)
        except NotAllowed as error:
            return fail(ScrapeFailed(403, str(error)))
        except ValueError as error:
            return fail(ScrapeFailed(400, f"Bad URL: {error}"))
        due = self._reactor.seconds() + timeout

        def tooLate(_: object, __: float) -> Arriving:
            reason = f"Target did not answer in {round(timeout, 2):g} s"
            raise ScrapeFailed(504, reason, str(destination))

        def giveUp(reason: Failure) -> Failure:
            scraping.cancel()
            return reason

        def begun(answer: Arriving) -> Arriving:
            if answer.isOver:
                return answer
            reason = f"Target did not end its answer in {round(timeout, 2):g} s"
            fault = ScrapeFailed(504, reason, str(destination))
            remaining = due - self._reactor.seconds()
            expiry = self._reactor.callLater(remaining, answer.expire, fault)

            def ended(_: None) -> None:
                if expiry.active():
                    expiry.cancel()

            answer.ended.addCallback(ended)
            return answer

        def forget(_: object) -> None:
            self._scrapes.discard(scraping)

        # Without a canceller of its own, it fails with CancelledError at once
        # when cancelled, and ignores what the end of the scrape then makes of
        # that: for a lookup of a name, that it failed.
        answering: Deferred[Arriving] = Deferred()
        answering.addErrback(giveUp)
        answering.addTimeout(timeout, self._reactor, tooLate)
        answering.addCallback(begun)
        coroutine = self._scrape(request, destination, timeout)
        scraping: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        self._scrapes.add(scraping)
        scraping.chainDeferred(answering)
        scraping.addBoth(forget)
        return answering

    def close(self) -> Deferred[None]:
        """
        Let no connection rest any more. Scrapes that are under way go on: who
        asked for them may cancel them.

        @return: fires when the last scrape has ended and the last connection is
            gone.
        """
        self._lines.letNoneRest()
        begun = gatherResults(list(self._scrapes))
        return begun.addCallback(lambda _: self._lines.close())

    async def _scrape(
        self, request: Request, destination: Destination, timeout: float
    ) -> Arriving:
        passed = [
            each for each in endToEnd(request.headers) if not _notForTargets(each[0])
        ]
        headers = (*passed, (TIMEOUT_HEADER, headerFromTimeout(timeout)))
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(request, headers, destination, timeout)
            onward = self._onward(request.method, destination, answer)
            if onward is None:
                return answer
            await answer.discard()
            if answer.fault is not None:
                raise answer.fault
            if onward.origin != destination.origin:
                # Another port may be another user's, and http is read by all.
                headers = without(headers, b"authorization", b"cookie")
            destination = onward
        raise ScrapeFailed(
            502, f"Target redirects more than {MAX_REDIRECTS} times", str(destination)
        )

    def _onward(
        self, method: bytes, destination: Destination, answer: Arriving
    ) -> Destination | None:
        """
        @return: where to ask next, or L{None} if this is the answer.
        """
        head = answer.head
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
    ) -> Arriving:
        """
        One request, and the beginning of its answer.
        """
        octets = _requestBytes(request, headers, destination)
        try:
            if request.method in _SAFE:
                resting = self._lines.resting(destination.origin)
                if resting is not None:
                    try:
                        return await self._exchange(
                            resting, request.method, octets, destination
                        )
                    except Unanswered:
                        # The target closed it just when we took it (RFC 9112
                        # section 9.3.1): that tells nothing about the target.
                        pass
            endpoint = self._endpoint(destination, timeout)
            line = await self._lines.connect(destination.origin, endpoint)
            return await self._exchange(line, request.method, octets, destination)
        except FAULTS as error:
            raise _explained(destination, error) from error

    def _exchange(
        self, line: Line, method: bytes, octets: bytes, destination: Destination
    ) -> Deferred[Arriving]:
        answer = Arriving(line.transport, partial(_explained, destination))
        answer.comeBy(self._lines.exchange(line, method, octets, answer))
        return answer.begun

    def _endpoint(
        self, destination: Destination, timeout: float
    ) -> IStreamClientEndpoint:
        host, port = destination.host, destination.port
        endpoint = endpointFor(self._reactor, host, port, timeout)
        if destination.scheme == "https":
            creator = self._tls.creatorForNetloc(host.encode("ascii"), port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        return endpoint
