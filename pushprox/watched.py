"""
Files that are read again when they change.

Knows how often to look, what changes with a file, and that nobody is waited for.
Does not know what is in it, or what is done where that cannot be used.
"""

from __future__ import annotations

import os
from io import BufferedReader

from twisted.internet.interfaces import IReactorTime

#: How often is looked for a change, at most; in seconds.
LOOK_EVERY = 1.0


def openNow(path: str) -> BufferedReader:
    """
    @return: a file to read. Where it is a FIFO, its writer is not waited for: it
        would be the whole program that waits.
    @raise OSError: if it cannot be opened.
    """

    def opened(path: str, flags: int) -> int:
        number = os.open(path, flags | os.O_NONBLOCK)
        os.set_blocking(number, True)
        return number

    return open(path, "rb", opener=opened)


_Stamp = tuple[int, ...] | None


def _stampOf(path: str) -> _Stamp:
    """
    @return: what changes with a file, or by its being exchanged for another.
    """
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # the latter for what can be no name
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


class Watch:
    """
    Some files, and whether they are still as they were.

    @ivar _seen: how they looked before they were read.
    @ivar _due: when to look again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._seen: dict[str, _Stamp] = {}
        self._due = clock.seconds() + LOOK_EVERY

    def only(self, *paths: str) -> None:
        """
        Watch these, which are about to be read, and no others.
        """
        self._due = self._clock.seconds() + LOOK_EVERY
        self._seen.clear()
        self.also(*paths)

    def also(self, *paths: str) -> None:
        """
        Watch these too.
        """
        self._seen.update((path, _stampOf(path)) for path in paths)

    def sawChange(self) -> bool:
        """
        @return: whether one has changed since it was to be read. It is not
            looked at oftener than once a second.
        """
        now = self._clock.seconds()
        if now < self._due:
            return False
        self._due = now + LOOK_EVERY
        return any(_stampOf(path) != seen for path, seen in self._seen.items())
