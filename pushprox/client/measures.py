"""
What the client measures, under the names of the reference where it has one.
"""

from __future__ import annotations

from collections.abc import Callable

from pushprox.metrics import Ledger


class Measures:
    """
    The client's metrics.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._scrapeErrors = ledger.tally(
            "pushprox_client_scrape_errors", "Number of scrape errors"
        )
        self._pushErrors = ledger.tally(
            "pushprox_client_push_errors", "Number of push errors"
        )
        self._pollErrors = ledger.tally(
            "pushprox_client_poll_errors", "Number of poll errors"
        )
        self._scrapes = ledger.tally(
            "pushprox_client_scrapes",
            "Scrapes by the status that was pushed.",
            "code",
        )
        self._durations = ledger.spread(
            "pushprox_client_scrape_duration_seconds",
            "From the poll that brought a scrape to the answer of the target.",
        )
        self._pushed = ledger.tally(
            "pushprox_client_pushed_bytes", "Bytes of answers pushed to the proxy."
        )

    def scraped(self, status: int, seconds: float) -> None:
        """
        A target answered.
        """
        self._scrapes.add(str(status))
        self._durations.add(seconds)

    def scrapeFailed(self, status: int, seconds: float) -> None:
        """
        A target did not answer; the proxy is told this status instead.
        """
        self._scrapeErrors.add()
        self.scraped(status, seconds)

    def pushed(self, size: int) -> None:
        """
        The proxy took so many bytes.
        """
        self._pushed.add(by=size)

    def pushFailed(self) -> None:
        """
        The proxy did not take an answer.
        """
        self._pushErrors.add()

    def pollFailed(self) -> None:
        """
        A poll ended otherwise than with a scrape, or with the word that there
        is none.
        """
        self._pollErrors.add()

    def watch(
        self,
        inHand: Callable[[], float],
        polls: Callable[[], float],
        connected: Callable[[], bool],
    ) -> None:
        """
        Show what is going on at any time.
        """
        gauge = self._ledger.gauge
        gauge("pushprox_client_scrapes_in_hand", "Scrapes not answered yet.", inHand)
        gauge("pushprox_client_polls", "Polls sent and not answered yet.", polls)
        gauge(
            "pushprox_client_connected",
            "Whether the last poll found the proxy.",
            lambda: float(connected()),
        )
