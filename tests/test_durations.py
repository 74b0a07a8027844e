"""
Tests for L{pushprox.durations}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushprox.durations import duration
from tests.test_options import Refusals


class DurationTests(Refusals):
    """
    Tests for L{duration}.
    """

    def test_seconds(self) -> None:
        """
        A duration is one number with its unit, or several, added up.
        """
        for text, seconds in {
            "0": 0.0,
            "0s": 0.0,
            "15s": 15.0,
            "1h30m": 5400.0,
            "1.5m": 90.0,
            ".5s": 0.5,
            "1.s": 1.0,
            "700ms": 0.7,
            "500us": 0.0005,
            "500\u00b5s": 0.0005,
            "500\u03bcs": 0.0005,
            "20ns": 2e-8,
            "1d": 86400.0,
            "1w": 604800.0,
            "1y": 31536000.0,
            "1m1ms": 60.001,
        }.items():
            self.assertEqual(duration(text), seconds, text)

    def test_nonsense(self) -> None:
        """
        Anything else is refused, negative ones among it.
        """
        for text in (
            "abc",
            "",
            "15",
            "s",
            "-5s",
            "1m x 2s",
            "1s ",
            "1s\n",
            "1.2.3s",
            "1M",
            "1e3s",
            "\u0661s",
            "00",
        ):
            self.assertRefuses(duration, text, "expected a duration like 15s or 1m30s")

    def test_minimum(self) -> None:
        """
        A flag may ask for a least duration.
        """
        self.assertEqual(duration("1s", 1.0), 1.0)
        with self.assertRaises(ValueError) as raised:
            duration("999ms", 1.0)
        self.assertEqual(
            str(raised.exception), "expected a duration of at least 1s, got '999ms'"
        )

    def test_tooLong(self) -> None:
        """
        What Go cannot hold is refused, since nothing could wait for it.
        """
        for text in ("293y", "9" * 400 + "s"):
            self.assertRefuses(duration, text, "at most 292 years")
        self.assertEqual(duration("292y"), 292 * 365 * 86400)

    @given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999))
    def test_added(self, minutes: int, seconds: int, milliseconds: int) -> None:
        """
        The parts of a duration add up to its length.
        """
        self.assertAlmostEqual(
            duration(f"{minutes}m{seconds}s{milliseconds}ms"),
            minutes * 60 + seconds + milliseconds / 1000,
        )
