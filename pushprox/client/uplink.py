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
from hyperlink import EncodedURL
from OpenSSL.SSL import Error as TLSError
from service_identity import CertificateError, VerificationError
from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from pushprox import __version__
from pushprox.client.agent import MAX_REPLY
from pushprox.client.answer import NotHTTP
from pushprox.client.body import Passage, Whole
from pushprox.client.credentials import Credentials
from pushprox.client.exchange import BrokenOff, Unanswered
from pushprox.client.failures import ScrapeFailed, tlsDetails
from pushprox.client.location import ProxyLocation

Body = Whole | Passage

#: A request that dies sooner after it was sent has met an idle connection that
#: the other side was just closing, in seconds.
STALE = 1.0

#: The most ids a poll lists: all of them must fit into the head of a request.
#: The newest matter; the others were listed before.
LISTED = 100

# What Pushprox-Max-Polls may say.
_COUNT = re.compile(r"[0-9]{1,9}")


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


def _first(response: _Response, name: bytes) -> str | None:
    values = response.headers.getRawHeaders(name)
    return values[0].decode("latin-1") if values else None


def _collector(pieces: list[bytes]) -> Callable[[bytes], None]:
    """
    @return: what adds to the pieces of a reply. They may have been compressed.
    """
    size = 0

    def collect(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size > MAX_REPLY:
            raise NotHTTP(f"over {MAX_REPLY} bytes")
        pieces.append(piece)

    return collect


def _inWords(error: BaseException, location: ProxyLocation) -> str:
    """
    An error in one line.
    """
    if isinstance(error, BrokenOff):
        return "the proxy's reply broke off"
    if isinstance(error, NotHTTP):
        return f"the proxy did not answer with HTTP: {error}"
    if isinstance(error, (VerificationError, CertificateError)):
        name = location.serverName or location.base
        return (
            f"the proxy's certificate is not for {name}"
            " (--proxy.tls-server-name tells what it has to be for)"
        )
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

    @ivar credentials: who we are there.
    @ivar pooled: sends over connections that are kept.
    @ivar fresh: makes a connection for each request.
    @ivar closeResting: closes the connections that are kept.
    @ivar name: what this client polls as.
    @ivar instance: a random id of this process.
    @ivar roundTrip: about the least seconds from the end of a push to the reply;
        L{None} before there was one.
    """

    clock: IReactorTime
    location: ProxyLocation
    credentials: Credentials
    pooled: HTTPClient = attrs.field(repr=False)
    fresh: HTTPClient = attrs.field(repr=False)
    closeResting: Callable[[], object] = attrs.field(repr=False)
    name: str
    instance: str
    roundTrip: float | None = attrs.field(default=None, init=False)
    _urls: dict[str, EncodedURL] = attrs.field(init=False, repr=False)
    _headers: Headers = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._urls = {path: self.location.requestURL(path) for path in ("poll", "push")}
        self._headers = Headers(
            {
                "User-Agent": [f"pushprox/{__version__}"],
                "Pushprox-Version": [__version__],
                "Pushprox-Instance": [self.instance],
            }
        )

    def _introduction(self) -> Headers:
        """
        @return: the headers by which we make ourselves known.
        """
        headers = self._headers.copy()
        authorization = self.credentials.authorization
        if authorization is not None:
            headers.setRawHeaders(b"Authorization", [authorization])
        return headers

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
        headers = self._introduction()
        headers.setRawHeaders(b"Prefer", [b"wait=%d" % math.ceil(wait)])
        headers.setRawHeaders(b"Pushprox-Taken", [b", ".join(ids)])
        name = Whole(self.name.encode("utf-8"))
        return self._post("poll", name, wait + patience, headers, mayRepeat)

    def push(self, body: Body, timeout: float) -> Deferred[Reply]:
        """
        Bring an answer.

        @param body: the answer, serialised.
        @param timeout: the seconds after which nobody waits for it any more.
        @return: fires with the reply, which may come before all is sent; fails
            with L{UplinkError}, with L{TimeoutError} if it was too late, or with
            L{ScrapeFailed} if the target broke off.
        """
        sent = self.clock.seconds()

        def ended() -> None:
            nonlocal sent
            sent = self.clock.seconds()

        def measured(reply: Reply) -> Reply:
            took = self.clock.seconds() - sent
            usual = took if self.roundTrip is None else self.roundTrip
            # It may grow again, but slowly.
            self.roundTrip = min(took, 1.1 * usual)
            return reply

        body.ended = ended
        headers = self._introduction()
        pushing = self._post("push", body, timeout, headers, True)
        return pushing.addCallback(measured)

    def _post(
        self,
        path: str,
        body: Body,
        timeout: float,
        headers: Headers,
        mayRepeat: bool,
    ) -> Deferred[Reply]:
        coroutine = self._exchange(path, body, headers, mayRepeat)
        exchange = Deferred.fromCoroutine(coroutine)

        def overdue(failure: Failure) -> Failure:
            # Where one line is dead, those that rest are not to be trusted.
            if failure.check(TimeoutError):
                self.closeResting()
            return failure

        return exchange.addTimeout(timeout, self.clock).addErrback(overdue)

    async def _exchange(
        self, path: str, body: Body, headers: Headers, mayRepeat: bool
    ) -> Reply:
        began = self.clock.seconds()
        pieces: list[bytes] = []
        try:
            asking = self._request(self.pooled, path, body, headers)
            # Only a connection that was there already takes it at once.
            wasResting = body.started
            try:
                response = await asking
            except Unanswered:
                isStale = wasResting and self.clock.seconds() - began < STALE
                if not (isStale and mayRepeat and body.isRepeatable):
                    raise
                response = await self._request(self.fresh, path, body, headers)
            await response.collect(_collector(pieces))
        except (CancelledError, ScrapeFailed):
            raise
        except ConnectingCancelledError:
            raise CancelledError from None
        except Exception as error:
            inner = error.cause if isinstance(error, Unanswered) else error
            text = _inWords(inner or error, self.location)
            raise UplinkError(text, body.started) from inner
        if response.code == 401:
            self.credentials.refused()
        version = _first(response, b"Pushprox-Version")
        maxPolls = _first(response, b"Pushprox-Max-Polls") or ""
        return Reply(
            response.code,
            response.phrase.decode("latin-1"),
            b"".join(pieces),
            self.clock.seconds() - began,
            version,
            int(maxPolls) if version and _COUNT.fullmatch(maxPolls) else 1,
            _first(response, b"Location"),
        )

    def _request(
        self, client: HTTPClient, path: str, body: Body, headers: Headers
    ) -> Deferred[_Response]:
        return client.post(
            self._urls[path],
            headers=headers,
            data=body,
            # A redirected poll would become a GET, and lose its name.
            allow_redirects=False,
            unbuffered=True,
            # For its own timeouts, which are not used here.
            reactor=cast(Any, self.clock),
        )
