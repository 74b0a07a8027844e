"""
Scrapes that nobody has answered yet, and how one shows that it has arrived.

A scrape that was handed out counts for nothing until its client's B{receipt} is
there: a line can be dead and look alive. Used by L{pushprox.proxy.coordinator}
alone, which decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from pushprox.proxy.delivery import Delivery
from pushprox.proxy.instruction import Asked
from pushprox.proxy.registration import Instance, Poll, Registration


@attrs.define(eq=False)
class Scrape:
    """
    A scrape that nobody answered yet.

    @ivar order: its place among all scrapes, by arrival.
    @ivar handed: the lines it was written to, each with the id of the instance
        that polled on it, and the time.
    @ivar takers: who polled on these lines.
    @ivar line: the line whose receipt is awaited, if one is.
    @ivar instance: whose line that is, or was.
    @ivar confirmed: whether a client has it in hand.
    @ivar doubtful: whether a poll of the name was lost since it was handed.
    @ivar delivery: the answer, once it has begun to come.
    @ivar conditions: they tell whether who scrapes may still do so, and who brings
        the answer, if that can change.
    @ivar timer: for the receipt, while that is awaited, then for the deadline.
    """

    id: bytes
    order: int
    request: Asked
    registration: Registration[Scrape]
    arrived: float
    deadline: float
    answer: Deferred[Delivery]
    conditions: tuple[Callable[[], bool], ...] = ()
    handed: dict[tuple[Hashable, bytes | None], float] = attrs.Factory(dict)
    takers: set[Hashable] = attrs.Factory(set)
    line: Hashable | None = None
    instance: Instance | None = None
    confirmed: bool = False
    doubtful: bool = False
    delivery: Delivery | None = None
    timer: IDelayedCall | None = None

    def __lt__(self, other: Scrape) -> bool:
        return self.order < other.order

    def handedAt(self, poll: Poll | None) -> float:
        """
        @param poll: the one that shows its arrival, if it is one that does.
        @return: when it was handed out; of several times, to whoever polls now.
        """
        latest = max(self.handed.values())
        if poll is None:
            return latest
        return self.handed.get((poll.line, poll.instance), latest)


class Receipts:
    """
    The lines on which a receipt is awaited.

    @ivar _lines: the scrape that was last written to each.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, Scrape] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def begin(self, scrape: Scrape, poll: Poll, instance: Instance, now: float) -> None:
        """
        A scrape is written to the line of this poll.
        """
        scrape.handed[poll.line, poll.instance] = now
        scrape.takers.add(poll.identity)
        scrape.line = poll.line
        scrape.instance = instance
        scrape.doubtful = False
        self._lines[poll.line] = scrape

    def end(self, scrape: Scrape) -> None:
        """
        None is awaited for this one any more.
        """
        if scrape.line is not None:
            # Another scrape may have been handed to that line by now.
            if self._lines.get(scrape.line) is scrape:
                del self._lines[scrape.line]
            scrape.line = None

    def awaitedOn(self, line: Hashable) -> Scrape | None:
        """
        @return: the scrape whose receipt is awaited on a line.
        """
        return self._lines.get(line)


def shownBy(poll: Poll, scrapes: list[Scrape]) -> list[Scrape]:
    """
    @param scrapes: those of the name that is polled for.
    @return: those of them that a poll shows to have arrived at its client.
    """
    open = [s for s in scrapes if s.handed and not s.confirmed]
    if poll.taken is not None:
        return [s for s in open if s.id in poll.taken]
    # What was given to another instance is not for this one to confirm, though a
    # load balancer may lend both the same line.
    arrived = [s for s in open if (poll.line, poll.instance) in s.handed]
    if arrived:
        return arrived
    awaited = [
        s for s in open if s.line is not None and (s.line, poll.instance) in s.handed
    ]
    return awaited if len(awaited) == 1 and not awaited[0].doubtful else []
