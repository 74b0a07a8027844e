"""
Tests for L{pushprox.deadlines}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.deadlines import headerFromTimeout, lessMargin, timeoutFromHeader


class HeaderTests(SynchronousTestCase):
    """
    Tests for the header that tells a timeout.
    """

    def test_read(self) -> None:
        """
        A header tells seconds as Prometheus and others write them.
        """
        for value, seconds in (
            (b"10", 10.0),
            (b"1.5", 1.5),
            (b" 2. ", 2.0),
            (b".5", 0.5),
            (b"1e1", 10.0),
            (b"2.5E-1", 0.25),
        ):
            self.assertEqual(timeoutFromHeader(value), seconds)

    def test_absent(self) -> None:
        """
        A header that is no finite number above 0 counts as absent.
        """
        for value in (
            None,
            b"",
            b"0",
            b"0.0",
            b"-1",
            b"+1",
            b"inf",
            b"Infinity",
            b"nan",
            b"1e999",
            b"1e-999",
            b"1_0",
            b"5s",
            b"0x10",
            b".",
            "\u0661".encode(),
        ):
            self.assertIsNone(timeoutFromHeader(value))

    def test_written(self) -> None:
        """
        The header is written to the millisecond, as short as can be.
        """
        for seconds, value in (
            (10.0, b"10"),
            (100.0, b"100"),
            (4.5, b"4.5"),
            (1.3499999, b"1.35"),
            (0.0304, b"0.03"),
        ):
            self.assertEqual(headerFromTimeout(seconds), value)

    def test_neverZero(self) -> None:
        """
        The header is never 0, which would count as absent.
        """
        for seconds in (0.0004, 0.0, -1.0):
            self.assertEqual(headerFromTimeout(seconds), b"0.001")

    @given(st.floats(0.001, 1e9))
    def test_roundTrip(self, seconds: float) -> None:
        """
        What is written is read as the same, but for less than a millisecond.
        """
        read = timeoutFromHeader(headerFromTimeout(seconds))
        assert read is not None
        self.assertLess(abs(read - seconds), 0.00051)


class MarginTests(SynchronousTestCase):
    """
    Tests for L{lessMargin}.
    """

    def test_margin(self) -> None:
        """
        One gives up half a second earlier, or as much as was decided, but by a
        tenth at most.
        """
        self.assertEqual(lessMargin(10.0), 9.5)
        self.assertEqual(lessMargin(5.0), 4.5)
        self.assertEqual(lessMargin(1.0), 0.9)
        self.assertEqual(lessMargin(10.0, 0.0), 10.0)
        self.assertEqual(lessMargin(100.0, 2.0), 98.0)
        self.assertEqual(lessMargin(10.0, 2.0), 9.0)
