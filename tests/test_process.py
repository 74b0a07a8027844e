"""
Tests for L{pushprox.process}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from pushprox.process import (
    GARBAGE_AFTER,
    OTHER_FILES,
    raiseFileLimit,
    roomBelow,
    settleMemory,
)


class FileLimitTests(SynchronousTestCase):
    """
    Tests for L{raiseFileLimit}.
    """

    def test_raised(self) -> None:
        """
        The soft limit becomes the hard one.
        """
        calls: list[tuple[int, tuple[int, int]]] = []
        limit = raiseFileLimit(
            lambda what: (1024, 20000), lambda *call: calls.append(call)
        )
        self.assertEqual(limit, 20000)
        self.assertEqual(calls, [(resource.RLIMIT_NOFILE, (20000, 20000))])

    def test_refused(self) -> None:
        """
        Where that is not allowed, the program runs with what it has.
        """

        def refuse(what: int, limits: tuple[int, int]) -> None:
            raise ValueError("not allowed to raise maximum limit")

        self.assertEqual(raiseFileLimit(lambda what: (1024, 20000), refuse), 1024)

    def test_room(self) -> None:
        """
        There are as many connections as are wanted, or as leave files for all else.
        """
        for files, room in (
            (20000, 1000),
            (1000 + OTHER_FILES, 1000),
            (500, 500 - OTHER_FILES),
            (10, 1),
            (resource.RLIM_INFINITY, 1000),
        ):
            self.assertEqual(roomBelow(files, 1000), room)


class MemoryTests(SynchronousTestCase):
    """
    Tests for L{settleMemory}.
    """

    def test_settled(self) -> None:
        """
        What is there is frozen, and garbage is looked for more rarely.
        """
        calls: list[object] = []
        settleMemory(lambda: calls.append("frozen"), calls.append)
        self.assertEqual(calls, ["frozen", GARBAGE_AFTER])
