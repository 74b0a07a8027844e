"""
Tests for L{pushprox.process}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from pushprox.process import GARBAGE_AFTER, raiseFileLimit, settleMemory


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
