"""
What serves the load's connections: raw sockets and epoll, so that the load costs
less than what it measures.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable
from typing import Protocol

from benchmarks.programs import Unmeasurable


class Served(Protocol):
    """
    What a L{Loop} serves.
    """

    def fileno(self) -> int:
        """
        @return: what to wait for.
        """

    def readable(self) -> None:
        """
        There is something to read, or the other side has hung up.
        """

    def writable(self) -> None:
        """
        There is room for more.
        """

    def close(self) -> None:
        """
        Hang up.
        """


class Loop:
    """
    Serves connections. One at a time is all there is: this is no reactor, and
    the load is to cost little.

    It never sleeps while it has something to wait for. On one machine it is the
    sender of a packet that wakes its receiver, and pays for that; so of two
    programs the faster, which leaves the load no time to sleep, would be
    measured without what the slower one pays. On a network neither does.

    @ivar idle: seconds that it waited, in all.
    """

    def __init__(self) -> None:
        self.idle = 0.0
        self._epoll = select.epoll()
        self._served: dict[int, Served] = {}

    def add(self, served: Served) -> None:
        """
        Tell this one when it can be read.
        """
        self._served[served.fileno()] = served
        self._epoll.register(served.fileno(), select.EPOLLIN)

    def remove(self, served: Served) -> None:
        """
        Tell it nothing any more.
        """
        if self._served.pop(served.fileno(), None) is not None:
            self._epoll.unregister(served.fileno())

    def watch(self, served: Served, read: bool = True, write: bool = False) -> None:
        """
        Tell it of this much.
        """
        events = select.EPOLLIN * read | select.EPOLLOUT * write
        self._epoll.modify(served.fileno(), events)

    def run(self, isDone: Callable[[], bool], what: str, within: float = 120) -> None:
        """
        Serve until all is done.

        @param what: is being waited for.
        @param within: seconds.
        @raise Unmeasurable: if it does not come to that.
        """
        latest = time.monotonic() + within
        served = self._served
        poll = self._epoll.poll
        # Of this process's own garbage there is next to none.
        gc.disable()
        try:
            while not isDone():
                asked = time.monotonic()
                events = poll(0)
                if not events:
                    now = time.monotonic()
                    self.idle += now - asked
                    if now > latest:
                        raise Unmeasurable(f"waited {within:g} s in vain for {what}")
                for number, event in events:
                    one = served.get(number)
                    if one is None:
                        continue
                    if event & select.EPOLLOUT:
                        one.writable()
                    if event & ~select.EPOLLOUT:
                        one.readable()
        finally:
            gc.enable()

    def runFor(self, seconds: float) -> None:
        """
        Serve for a while.
        """
        latest = time.monotonic() + seconds
        self.run(lambda: time.monotonic() >= latest, "the end of a pause")

    def close(self) -> None:
        """
        Close all connections.
        """
        for served in list(self._served.values()):
            served.close()
        self._epoll.close()
