"""
Tests for L{pushprox.watched}: real files.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pushprox.watched import LOOK_EVERY, Watch, openNow


class OpenTests(SynchronousTestCase):
    """
    How they are read.
    """

    def test_file(self) -> None:
        """
        A file is there to be read.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"one")
        with openNow(str(path)) as file:
            self.assertEqual(file.read(), b"one")

    def test_noWriter(self) -> None:
        """
        A FIFO that nobody writes to is empty: to wait for somebody would stop the
        program.
        """
        path = self.mktemp()
        os.mkfifo(path)
        with openNow(path) as file:
            self.assertEqual(file.read(), b"")

    def test_writer(self) -> None:
        """
        What somebody has for us is waited for, as at the start with C{<(command)}
        in a shell.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with openNow(f"/dev/fd/{reading}") as file:
            self.assertTrue(os.get_blocking(file.fileno()))
            os.write(writing, b"one")
            os.close(writing)
            self.assertEqual(file.read(), b"one")


class WatchTests(SynchronousTestCase):
    """
    What counts as a change, and when it is seen.
    """

    def setUp(self) -> None:
        """
        Two files are there, and one is not.
        """
        self.clock = Clock()
        self.watch = Watch(self.clock)
        self.one, self.two, self.missing = (Path(self.mktemp()) for _ in range(3))
        self.one.write_text("one")
        self.two.write_text("two")

    def sawChange(self) -> bool:
        """
        @return: whether there is one when it is time to look again.
        """
        self.clock.advance(LOOK_EVERY)
        return self.watch.sawChange()

    def test_nothing(self) -> None:
        """
        Where nothing is watched nothing changes.
        """
        self.assertFalse(self.sawChange())

    def test_changes(self) -> None:
        """
        Files that are written, exchanged for others, removed or made are seen,
        until they are to be read again.
        """

        def exchange() -> None:
            new = Path(self.mktemp())
            new.write_text("one")
            new.replace(self.one)

        paths = [str(path) for path in (self.one, self.two, self.missing)]
        self.watch.only(*paths)
        self.assertFalse(self.sawChange())
        for change in (
            lambda: self.two.write_text("three"),
            exchange,
            self.two.unlink,
            lambda: self.missing.write_text(""),
        ):
            change()
            self.assertTrue(self.sawChange())
            self.assertTrue(self.sawChange())
            self.watch.only(*paths)
            self.assertFalse(self.sawChange())

    def test_seldom(self) -> None:
        """
        A change is not looked for more than once a second.
        """
        self.watch.only(str(self.one))
        self.one.write_text("three")
        self.assertFalse(self.watch.sawChange())
        self.clock.advance(LOOK_EVERY - 0.1)
        self.assertFalse(self.watch.sawChange())
        self.clock.advance(0.1)
        self.assertTrue(self.watch.sawChange())
        self.assertFalse(self.watch.sawChange())

    def test_which(self) -> None:
        """
        Those count that are watched, the first and those that were added.
        """
        self.watch.only(str(self.one))
        self.watch.only(str(self.two))
        self.one.write_text("three")
        self.assertFalse(self.sawChange())
        self.watch.also(str(self.one))
        self.assertFalse(self.sawChange())
        for path in (self.one, self.two):
            path.write_text("changed")
            self.assertTrue(self.sawChange())
            self.watch.also(str(path))

    def test_noName(self) -> None:
        """
        What can be no name of a file is a file that is not there.
        """
        self.watch.only("a\0b")
        self.assertFalse(self.sawChange())
