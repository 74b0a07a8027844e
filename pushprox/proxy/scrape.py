"""
The scrape's door: a scraper's request in absolute form is done by a client, far
away, and its answer handed on as it comes.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from pushprox.deadlines import OFFSET, TIMEOUT_HEADER, lessMargin, timeoutFromHeader
from pushprox.headers import HOP_BY_HOP, Fields, endToEnd
from pushprox.message import requestLines
from pushprox.names import TargetUrl, canonicalName, nameFromText, remembered
from pushprox.proxy.admission import OPEN, Admission, Forbidden
from pushprox.proxy.coordinator import Coordinator
from pushprox.proxy.delivery import Delivery
from pushprox.proxy.doors import Door, Refused, bodyOf
from pushprox.proxy.instruction import Asked
from pushprox.proxy.refusals import (
    BrokenAnswer,
    NotAnswered,
    NotTaken,
    Revoked,
    ScrapeFailed,
    UnknownName,
)
from pushprox.request import Request
from pushprox.site import VERSION_LINE

_TIMEOUT = TIMEOUT_HEADER.lower()

# What may not reach a client: what ended at the proxy, the scraper's credentials
# for it among that; no Id, which would let a scraper choose whose answer it gets;
# and not the time that it has, but what remains of that.
_ENDING = HOP_BY_HOP | {b"id", b"expect", _TIMEOUT}

# What the two programs say to each other and nobody else is to see. (A target
# may be a proxy, too: its version is not this proxy's.)
_OURS = frozenset(
    [
        b"id",
        _TIMEOUT,
        b"x-prometheus-scrape-timeout",
        b"pushprox-version",
    ]
)

#: A name that was not polled for so long is away; less is the pause between two
#: polls. In seconds.
AWAY = 1.0


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


def inSeconds(seconds: float) -> str:
    """
    A duration as a person reads it.
    """
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


@remembered
def readTarget(url: bytes, nameLimit: int) -> tuple[TargetUrl, str]:
    """
    @return: what the URL of a scrape says, and whose it is: the name, normalised.
    @raise ValueError: if it says nothing; tells why.
    """
    target = TargetUrl.fromBytes(url)
    if target.scheme not in ("http", "https"):
        raise ValueError(f"expected http or https, got {target.scheme}")
    name = nameFromText(target.host.encode("ascii"), nameLimit)
    return target, canonicalName(name)


class ScrapeDoor(Door):
    """
    A scraper's request in absolute form.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        timeouts: Timeouts,
        nameLimit: int,
        bytesCarried: Callable[[int], None],
        tells: bool = False,
        admission: Admission = OPEN,
    ) -> None:
        """
        @param nameLimit: bytes of a client's name.
        @param bytesCarried: is told how many bytes a scraper was given.
        @param tells: whether to log each answer: what nobody reads costs, too.
        @param admission: who may scrape whom.
        """
        super().__init__(admission)
        self._coordinator = coordinator
        self._timeouts = timeouts
        self._nameLimit = nameLimit
        self._bytesCarried = bytesCarried
        self._tells = tells

    def open(self, request: Request) -> None:
        """
        Have the scrape done.
        """
        if request.method == b"CONNECT":
            raise Refused(
                501,
                "CONNECT is not supported: scrape http with the parameter"
                " _scheme=https",
            )
        body = bodyOf(request)
        try:
            target, name = readTarget(request.uri, self._nameLimit)
        except ValueError as error:
            raise Refused(400, "Bad Request", str(error)) from None
        if not self._admission.accessOf(request).mayScrape(name):
            # Before anybody looks whether there is such a name.
            raise Forbidden(f"Not allowed to scrape {name}")
        named = request.head.named
        fields: Fields = request.fields
        if b"connection" in named:
            # Few scrapers name fields there to drop.
            fields = endToEnd(fields)
        lines = requestLines(request.method, fields, len(body), _ENDING)
        scrape = Asked(request.method, target, lines, body)
        # The scraper's time runs from its request on, whatever that waited for.
        waited = request.site.clock.seconds() - request.began
        budget = max(0.0, self._timeouts.budget(named.get(_TIMEOUT)) - waited)
        mayStay = self._admission.mayStay(request, lambda now: now.mayScrape(name))
        try:
            answer = self._coordinator.scrape(name, scrape, budget, mayStay)
        except ScrapeFailed as error:
            raise refusalOf(error, name, budget) from None
        request.whenLost = answer.cancel
        answer.addCallbacks(
            self._answered,
            self._failed,
            callbackArgs=(request,),
            errbackArgs=(request, name, budget),
        )

    def _answered(self, delivery: Delivery, request: Request) -> None:
        """
        Give the scraper the target's answer, or its beginning.
        """
        try:
            self._give(delivery, request)
        except Exception:
            self.refuse(request, Failure())

    def _give(self, delivery: Delivery, request: Request) -> None:
        head = delivery.head
        lines = VERSION_LINE
        isDated = False
        for field in head.headers:
            name = field[0].lower()
            if name not in _OURS:
                lines += b"%b: %b\r\n" % field
                isDated = isDated or name == b"date"
        if not isDated:
            # RFC 9110 section 6.6.1.
            lines = request.site.dateLine + lines
        length = head.length if request.method == b"HEAD" else delivery.length
        if length is not None and head.status not in (204, 304):
            lines += b"Content-Length: %d\r\n" % length
        if self._tells:
            url = request.path.decode("latin-1")
            self._log.debug("Scraped {url}: {status}", url=url, status=head.status)
        self._bytesCarried(len(delivery.first))
        if delivery.whole:
            request.reply(head.status, head.reason, lines, delivery.first)
        else:
            delivery.receiver = _Onward(request, self._bytesCarried)
            request.beginReply(
                head.status, head.reason, lines, delivery.first, length is not None
            )
            request.registerProducer(delivery.source, True)

    def _failed(
        self, failure: Failure, request: Request, name: str, budget: float
    ) -> None:
        """
        Tell the scraper why.
        """
        error = failure.value
        if isinstance(error, CancelledError):
            return  # nobody is there to be told
        if isinstance(error, Revoked):
            failure = Failure(Forbidden(f"Not allowed to scrape {name} any more"))
        elif isinstance(error, ScrapeFailed):
            failure = Failure(refusalOf(error, name, budget))
        self.refuse(request, failure)


def refusalOf(error: ScrapeFailed, name: str, budget: float) -> Refused:
    """
    @param budget: the seconds that the scrape had.
    @return: what the scraper is told, whose fault it is above all.
    """
    match error:
        case UnknownName():
            return Refused(503, f"No PushProx client named {name}")
        case NotTaken() if error.silence >= AWAY:
            return Refused(504, f"No poll from {name} for {inSeconds(error.silence)}")
        case NotTaken():
            return Refused(504, f"{name} took no scrape in {inSeconds(budget)}")
        case NotAnswered():
            return Refused(504, f"{name} did not answer in {inSeconds(error.waited)}")
        case BrokenAnswer():
            reason = error.reason or f"The answer of {name} broke off"
            text = f"{name}: {error.reason or error.detail}"
            return Refused(502, reason, text, breaks=True)
    raise error  # pragma: no cover


@attrs.frozen(eq=False)
class _Onward:
    """
    A scraper that is given a body as it comes.
    """

    _request: Request
    _bytesCarried: Callable[[int], None]

    def bodyReceived(self, piece: bytes) -> None:
        self._request.write(piece)
        self._bytesCarried(len(piece))

    def bodyEnded(self, piece: bytes) -> None:
        self.bodyReceived(piece)
        self._request.unregisterProducer()
        self._request.finish()

    def bodyBroke(self) -> None:
        self._request.breakOff()
