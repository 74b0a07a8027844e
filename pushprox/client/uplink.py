"""
One poll and one push: what goes between this client and its proxy.

It knows the wire, and puts what goes wrong into words. When to poll, and what
to do with a scrape, is for L{pushprox.client.polling}.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import attrs
from OpenSSL.SSL import Error as TLSError
from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from pushprox import __version__
from pushprox.client.failures import tlsDetails
from pushprox.client.location import ProxyLocation

#: A request that dies sooner after it was sent has met an idle connection that
#: the other side was just closing, in seconds.
STALE = 1.0

#: The most ids a poll lists: all of them must fit into the head of a request.
#: The newest matter; the others were listed before.
LISTED = 100

#: Bytes of a reply. A poll's is one request, whose head is limited everywhere.
MAX_REPLY = 16 * 1024 * 1024

# What Pushprox-Max-Polls may say.
_COUNT = re.compile(r"[0-9]{1,9}")

# What a web client raises where the connection ended before a reply.
_UNANSWERED = (ResponseNeverReceived, RequestTransmissionFailed)


class UplinkError(Exception):
    """
    The proxy could not be reached, or its reply broke off. The text says in
    one line what happened.

    @ivar sent: whether a connection had taken the request.
    """

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


@attrs.frozen
class Reply:
    """
    What a poll or a push was answered with, by the proxy or by whatever stands
    before it.

    @ivar held: from the request to the reply, in seconds.
    @ivar version: what the proxy is; L{None} is the reference, or no proxy.
    @ivar maxPolls: how many polls of ours the proxy parks at a time.
    @ivar elsewhere: where a redirect leads.
    """

    status: int
    reason: str
    body: bytes
    held: float
    version: str | None
    maxPolls: int
    elsewhere: str | None


@implementer(IBodyProducer)
class _Whole:
    """
    A body that is there as a whole, and is written at once.

    @ivar sent: whether it was.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)
        self.sent = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.sent = True
        consumer.write(self._data)
        return succeed(None)

    def stopProducing(self) -> None:
        """
        All is written already.
        """

    pauseProducing = resumeProducing = stopProducing


class _Body(Protocol):
    """
    Collects the body of a reply.

    @ivar done: fires with it; to cancel closes the connection.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())

    def _abort(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MAX_REPLY:
            # More may come: over TLS the other side has to take its leave too.
            self._pieces.clear()
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone) and self._size <= MAX_REPLY:
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(UplinkError("the proxy's reply broke off", True))


def _first(response: _Response, name: bytes) -> str | None:
    values = response.headers.getRawHeaders(name)
    return values[0].decode("latin-1") if values else None


def _innermost(error: BaseException) -> BaseException:
    """
    What is behind a web client's error, which wraps what went wrong.
    """
    while reasons := getattr(error, "reasons", None):
        error = reasons[-1].value
    return error


def _inWords(error: BaseException) -> str:
    """
    An error in one line.
    """
    if isinstance(error, TLSError):
        return (
            f"TLS with the proxy failed: {tlsDetails(error)}"
            " (--tls.cacert names the CAs to trust)"
        )
    return " ".join(str(error).split()) or type(error).__name__


@attrs.define(eq=False)
class Uplink:
    """
    The way to the proxy.

    @ivar pooled: sends over connections that are kept.
    @ivar fresh: makes a connection for each request.
    @ivar closeResting: closes the connections that are kept.
    @ivar name: what this client polls as.
    @ivar instance: a random id of this process.
    @ivar roundTrip: about the least seconds that a push takes; L{None} before
        there was one.
    """

    clock: IReactorTime
    location: ProxyLocation
    pooled: HTTPClient = attrs.field(repr=False)
    fresh: HTTPClient = attrs.field(repr=False)
    closeResting: Callable[[], object] = attrs.field(repr=False)
    name: str
    instance: str
    roundTrip: float | None = attrs.field(default=None, init=False)

    def poll(
        self,
        wait: float,
        patience: float,
        taken: Iterable[bytes],
        mayRepeat: bool = True,
    ) -> Deferred[Reply]:
        """
        Ask for a scrape.

        @param wait: the seconds after which the proxy is to say that there is
            none.
        @param patience: the seconds after that until we give the poll up.
        @param taken: the scrapes in hand, the newest last.
        @param mayRepeat: whether a poll that dies unanswered on a connection
            that had rested is sent once more.
        @return: fires with the reply; fails with L{UplinkError}, or with
            L{TimeoutError} if the poll was given up.
        """
        ids = list(taken)[-LISTED:]
        headers = {
            b"Prefer": b"wait=%d" % math.ceil(wait),
            b"Pushprox-Taken": b", ".join(ids),
        }
        name = self.name.encode("utf-8")
        return self._post("poll", name, wait + patience, headers, mayRepeat)

    def push(self, data: bytes, timeout: float) -> Deferred[Reply]:
        """
        Bring an answer.

        @param data: the answer, serialised.
        @param timeout: the seconds after which nobody waits for it any more.
        @return: fires with the reply; fails with L{UplinkError}, or with
            L{TimeoutError} if it was too late.
        """

        def measured(reply: Reply) -> Reply:
            usual = reply.held if self.roundTrip is None else self.roundTrip
            # It may grow again, but slowly.
            self.roundTrip = min(reply.held, 1.1 * usual)
            return reply

        return self._post("push", data, timeout, {}, True).addCallback(measured)

    def _post(
        self,
        path: str,
        data: bytes,
        timeout: float,
        headers: dict[bytes, bytes],
        mayRepeat: bool,
    ) -> Deferred[Reply]:
        coroutine = self._exchange(path, data, headers, mayRepeat)
        exchange = Deferred.fromCoroutine(coroutine)

        def overdue(failure: Failure) -> Failure:
            # Where one line is dead, those that rest are not to be trusted.
            if failure.check(TimeoutError):
                self.closeResting()
            return failure

        return exchange.addTimeout(timeout, self.clock).addErrback(overdue)

    async def _exchange(
        self, path: str, data: bytes, headers: dict[bytes, bytes], mayRepeat: bool
    ) -> Reply:
        began = self.clock.seconds()
        whole = _Whole(data)
        try:
            asking = self._request(self.pooled, path, whole, headers)
            # Only a connection that was there already takes it at once.
            isRepeatable = mayRepeat and whole.sent
            try:
                response = await asking
            except _UNANSWERED as error:
                cancelled = isinstance(_innermost(error), CancelledError)
                isStale = isRepeatable and self.clock.seconds() - began < STALE
                if cancelled or not isStale:
                    raise
                whole = _Whole(data)
                response = await self._request(self.fresh, path, whole, headers)
            collected = _Body()
            response.deliverBody(collected)
            body = await collected.done
        except Exception as error:
            inner = _innermost(error)
            if isinstance(inner, ConnectingCancelledError):
                raise CancelledError from None
            if isinstance(inner, CancelledError | UplinkError):
                raise inner from None
            raise UplinkError(_inWords(inner), whole.sent) from error
        version = _first(response, b"Pushprox-Version")
        maxPolls = _first(response, b"Pushprox-Max-Polls") or ""
        return Reply(
            response.code,
            response.phrase.decode("latin-1"),
            body,
            self.clock.seconds() - began,
            version,
            int(maxPolls) if version and _COUNT.fullmatch(maxPolls) else 1,
            _first(response, b"Location"),
        )

    def _request(
        self, client: HTTPClient, path: str, whole: _Whole, more: dict[bytes, bytes]
    ) -> Deferred[_Response]:
        headers = {
            b"User-Agent": b"pushprox/" + __version__.encode("ascii"),
            b"Pushprox-Version": __version__.encode("ascii"),
            b"Pushprox-Instance": self.instance.encode("ascii"),
            **more,
        }
        if self.location.authorization is not None:
            headers[b"Authorization"] = self.location.authorization
        return client.post(
            self.location.requestURL(path),
            headers=Headers({name: [value] for name, value in headers.items()}),
            data=whole,
            # A redirected poll would become a GET, and lose its name.
            allow_redirects=False,
            unbuffered=True,
            # For its own timeouts, which are not used here.
            reactor=cast(Any, self.clock),
        )
