"""
C{POST /push}: a client brings the answer of a target.

Its head is read as soon as it is there, and tells whose answer it is. From then
on its body goes to the scraper as it comes. What is broken is said to both
sides, and is never handed on as whole.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from pushprox.framing import IncompleteMessage
from pushprox.headers import MalformedMessage, allHeaders
from pushprox.message import ResponseDecoder, ResponseHead
from pushprox.names import canonicalName
from pushprox.proxy.admission import OPEN, Admission, Forbidden
from pushprox.proxy.coordinator import Coordinator
from pushprox.proxy.delivery import Delivery
from pushprox.proxy.doors import Door, Refused
from pushprox.proxy.refusals import ForeignScrape, UnknownScrape
from pushprox.request import Request, StreamingResource


class PushDoor(Door, StreamingResource):
    """
    Where clients push.
    """

    methods = (b"POST",)

    def __init__(self, coordinator: Coordinator, admission: Admission = OPEN) -> None:
        super().__init__(admission)
        self._coordinator = coordinator

    def open(self, request: Request) -> None:
        """
        Read the answer as it comes.
        """
        push = _Push(self, self._coordinator, self._admission, request)
        request.whenLost = push.hungUp
        request.readBody(push)


@implementer(IPushProducer)
class _Push:
    """
    One push.

    @ivar _size: bytes of all of it, where it tells.
    @ivar _received: those that have come.
    @ivar _id: of the scrape that it answers, once that is known.
    @ivar _mayStay: tells whether who brings it still may, if that can change.
    @ivar _method: of that scrape.
    @ivar _last: the last bytes of the body, which are held back until it is
        certain that nothing follows them.
    @ivar _delivery: the answer, while it is on its way to the scraper.
    """

    def __init__(
        self,
        door: PushDoor,
        coordinator: Coordinator,
        admission: Admission,
        request: Request,
    ) -> None:
        self._door = door
        self._coordinator = coordinator
        self._admission = admission
        self._request = request
        self._size = request.head.size
        self._received = 0
        self._decoder = ResponseDecoder(self._size)
        self._id: bytes | None = None
        self._mayStay: Callable[[], bool] | None = None
        self._method = b""
        self._last = b""
        self._delivery: Delivery | None = None

    # What comes.

    def bodyReceived(self, piece: bytes) -> None:
        """
        Some more of the push.
        """
        try:
            self._read(piece)
        except MalformedMessage as error:
            self._fail(error)
        except (Forbidden, Refused):
            self._door.refuse(self._request, Failure())

    def _read(self, piece: bytes) -> None:
        decoder = self._decoder
        self._received += len(piece)
        try:
            content = decoder.feed(piece)
        finally:
            # A broken answer is somebody's, too.
            if self._id is None and decoder.head is not None:
                self._identify(decoder.head)
        if decoder.head is None:
            return
        if decoder.whole or self._received == self._size:
            self._last += content
        elif self._delivery is not None:
            self._delivery.receiver.bodyReceived(content)
        elif self._method != b"HEAD":
            self._begin(decoder.head, content)

    def bodyEnded(self) -> None:
        """
        That was all of the push.
        """
        try:
            self._decoder.end(self._method)
        except MalformedMessage as error:
            self._fail(error)
            return
        assert self._id is not None
        delivery = self._delivery
        if delivery is None:
            head = self._decoder.head
            assert head is not None
            whole = Delivery(head, len(self._last), self._last)
            try:
                self._coordinator.push(self._id, whole)
            except UnknownScrape:
                # Since its head was read.
                self.giveUp()
                return
        else:
            self._delivery = None
            self._coordinator.delivered(self._id)
            delivery.receiver.bodyEnded(self._last)
        self._thank()

    def hungUp(self) -> None:
        """
        The client is gone in the midst of it.
        """
        if self._delivery is not None:
            self._breakOff(None, "the push broke off")

    # What becomes of it.

    def _identify(self, head: ResponseHead) -> None:
        """
        See whose answer this is.

        @raise Refused: if it is nobody's.
        @raise Forbidden: if who brings it may not poll as that client any more.
        @raise MalformedMessage: if it is no answer.
        """
        ids = allHeaders(head.headers, b"Id")
        if len(ids) != 1:
            raise pushFailed(400, f"expected one Id header, got {len(ids)}")
        try:
            access = self._admission.accessOf(self._request)
            asked = self._coordinator.expected(ids[0], access.identity)
        except ForeignScrape:
            self._admission.noteForeign(self._request)
            raise _nobodyWaits() from None
        except UnknownScrape:
            raise _nobodyWaits() from None
        name = canonicalName(asked.target.host)
        if not access.mayPoll(name):
            raise Forbidden(f"Not allowed to poll as {name} any more")
        self._mayStay = self._admission.mayStay(
            self._request, lambda now: now.mayPoll(name)
        )
        self._method = asked.method
        self._id = ids[0]
        if head.status < 200:
            raise MalformedMessage(f"status {head.status} is no answer")
        self._decoder.check(self._method)

    def _begin(self, head: ResponseHead, content: bytes) -> None:
        """
        Hand on what there is; the rest follows.
        """
        assert self._id is not None
        self._request.isClaimed = True  # the scrape's deadline holds for it now
        self._delivery = Delivery(head, self._decoder.length, content, self)
        self._coordinator.push(self._id, self._delivery, self._mayStay)

    def _thank(self) -> None:
        signature = self._request.site.signature
        self._request.reply(200, b"OK", signature + b"Content-Length: 0\r\n")

    def _fail(self, error: MalformedMessage) -> None:
        """
        The answer is broken: tell both sides.
        """
        head, isNews = self._decoder.head, False
        if head is not None and self._id is not None:
            # Our client tells in this way of a target that broke off.
            isNews = head.status >= 400 and isinstance(error, IncompleteMessage)
            reason = head.reason.decode("latin-1") if isNews else None
            try:
                self._breakOff(reason, str(error))
            except UnknownScrape:
                # Since its head was read.
                self.giveUp()
                return
        if isNews:
            self._thank()
        else:
            self._door.refuse(self._request, Failure(pushFailed(400, str(error))))

    def _breakOff(self, reason: str | None, detail: str) -> None:
        """
        The scraper does not get all of the answer.

        @raise UnknownScrape: if nobody waits for it any more.
        """
        assert self._id is not None
        delivery, self._delivery = self._delivery, None
        if delivery is None:
            self._coordinator.breakOff(self._id, reason, detail)
        else:
            self._coordinator.cutShort(self._id)
            delivery.receiver.bodyBroke()

    # What the scraper's side says.

    def pauseProducing(self) -> None:
        """
        The scraper is slower.
        """
        self._request.pauseProducing()

    def resumeProducing(self) -> None:
        """
        The scraper has caught up.
        """
        self._request.resumeProducing()

    def stopProducing(self) -> None:
        """
        The scraper is gone.
        """
        assert self._id is not None
        self._coordinator.abandon(self._id)
        self.giveUp()

    def giveUp(self) -> None:
        """
        Nobody waits for the rest.
        """
        self._delivery = None
        self._door.refuse(self._request, Failure(_nobodyWaits()))


def pushFailed(status: int, text: str) -> Refused:
    """
    What a client is told, in the words of the reference.
    """
    reason = {400: "Bad Request", 404: "Not Found"}[status]
    return Refused(status, reason, f"Error pushing: {text}")


def _nobodyWaits() -> Refused:
    return pushFailed(
        404, "nobody waits for this scrape: it is late, or was never given out"
    )
