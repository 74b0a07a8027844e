"""
An answer on its way through the proxy: from the push that brings it to the
scraper that waits for it.

Its head is there, and as much of its body as came with it. What is still to
come goes straight from the push to the scraper, and the slower of the two slows
the other. Knows neither of them: what either says on the wire is for
L{pushprox.proxy.push} and L{pushprox.proxy.scrape}.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from pushprox.message import ResponseHead


class Receiver(Protocol):
    """
    Who is given the rest of a body.
    """

    def bodyReceived(self, piece: bytes) -> None:
        """
        Some more of it.
        """

    def bodyEnded(self, piece: bytes) -> None:
        """
        The last of it, which may be nothing.
        """

    def bodyBroke(self) -> None:
        """
        What is missing does not come.
        """


class Source(Protocol):
    """
    Where a body comes from: a push producer
    (L{IPushProducer<twisted.internet.interfaces.IPushProducer>}) that can be
    told that it is too late.
    """

    def pauseProducing(self) -> None:
        """
        Send no more for now.
        """

    def resumeProducing(self) -> None:
        """
        Send on.
        """

    def stopProducing(self) -> None:
        """
        The receiver is gone.
        """

    def giveUp(self) -> None:
        """
        Time is over; the receiver knows.
        """


@attrs.define(eq=False)
class Delivery:
    """
    An answer of which at least the head is there.

    @ivar length: bytes of the whole body, where they are known.
    @ivar first: what has come of the body.
    @ivar source: where the rest comes from; L{None} if that is all.
    @ivar receiver: where it goes; whoever is given the delivery says so at once,
        unless it is whole.
    """

    head: ResponseHead
    length: int | None
    first: bytes
    source: Source | None = None
    receiver: Receiver = attrs.field(init=False)

    @property
    def whole(self) -> bool:
        """
        Whether nothing is missing.
        """
        return self.source is None

    def giveUp(self) -> None:
        """
        Time is over: neither side is to go on.
        """
        assert self.source is not None
        self.receiver.bodyBroke()
        self.source.giveUp()
