"""
What the proxy measures, under the names of the reference where it has one.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from pushprox.announced import Announcing
from pushprox.crowd import CLOSED, Crowd
from pushprox.metrics import Ledger
from pushprox.proxy.coordinator import OUTCOMES, POLL_LIMITS, Coordinator
from pushprox.proxy.resources import isScrape
from pushprox.request import Request

#: The paths whose requests are counted; others are anybody's invention.
_COUNTED = {
    path.encode("ascii"): path for path in ("/poll", "/push", "/clients", "/metrics")
}


class Measures:
    """
    The proxy's metrics.
    """

    def __init__(self, clock: IReactorTime, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger
        self._ended = ledger.tally(
            "pushprox_proxy_scrapes", "Scrapes by how they ended.", "outcome"
        )
        for word in OUTCOMES:
            self._ended.add(word, by=0)
        self._durations = ledger.spread(
            "pushprox_proxy_scrape_duration_seconds",
            "From the arrival of a scrape to its end, by how it ended.",
            "outcome",
        )
        self._carried = ledger.tally(
            "pushprox_proxy_carried_bytes", "Bytes of bodies handed to scrapers."
        )
        self._requests = ledger.tally(
            "pushprox_http_requests", "Number of http api requests.", "code", "path"
        )
        for path in _COUNTED.values():
            self._requests.add("200", path, by=0)
        self._times = ledger.spread(
            "pushprox_http_duration_seconds", "Time taken by path.", "path"
        )
        self._refused = ledger.tally(
            "pushprox_http_refused_requests",
            "Requests refused as bad, too big or too slow before they were read.",
            "code",
        )
        self._closed = ledger.tally(
            "pushprox_proxy_closed_connections",
            "Connections that were too many or took too long, by why.",
            "why",
        )
        for word in CLOSED:
            self._closed.add(word, by=0)
        self._refusedPolls = ledger.tally(
            "pushprox_proxy_refused_polls",
            "Polls that would have passed a limit, by which.",
            "limit",
        )
        for word in POLL_LIMITS:
            self._refusedPolls.add(word, by=0)
        # Not a slip of ours: dashboards rely on the name.
        self._proxied = ledger.tally(
            "pushproxy_proxied_requests", "Number of http proxy requests.", "code"
        )

    def refused(self, status: int) -> None:
        """
        A request was refused before anybody was asked.
        """
        self._refused.add(str(status))

    def lineClosed(self, why: str) -> None:
        """
        A connection was closed, or not let in, for one of L{CLOSED}.
        """
        self._closed.add(why)

    def pollRefused(self, limit: str) -> None:
        """
        A poll would have passed one of L{POLL_LIMITS}.
        """
        self._refusedPolls.add(limit)

    def scrapeEnded(self, outcome: str, seconds: float) -> None:
        """
        A scrape ended, in one of L{OUTCOMES}.
        """
        self._ended.add(outcome)
        self._durations.add(seconds, outcome)

    def carried(self, size: int) -> None:
        """
        A scraper was given so many bytes.
        """
        self._carried.add(by=size)

    def requestEnded(self, request: Request, status: int) -> None:
        """
        A request was answered with this status, or its other side hung up.
        """
        code = str(status)
        path = _COUNTED.get(request.path)
        if path is None or request.method == b"CONNECT":
            if isScrape(request):
                self._proxied.add(code)
            return
        self._requests.add(code, path)
        self._times.add(self._clock.seconds() - request.began, path)

    def watch(self, coordinator: Coordinator, crowd: Crowd) -> None:
        """
        Show what the coordinator and the sites hold at any time.
        """
        gauge = self._ledger.gauge
        gauge(
            "pushprox_proxy_clients",
            "Number of known pushprox clients.",
            lambda: sum(1 for _ in coordinator.known()),
        )
        gauge(
            "pushprox_proxy_connected_clients",
            "Known clients that have a poll parked.",
            lambda: sum(r.connected for r in coordinator.known()),
        )
        gauge(
            "pushprox_proxy_contested_names",
            "Names that more than one client process polls as.",
            lambda: coordinator.contested,
        )
        gauge(
            "pushprox_proxy_parked_polls",
            "Polls that wait for a scrape.",
            lambda: coordinator.parked,
        )
        gauge(
            "pushprox_proxy_queued_scrapes",
            "Scrapes that wait for a poll.",
            lambda: coordinator.queued,
        )
        gauge(
            "pushprox_proxy_scrapes_in_flight",
            "Scrapes that wait for an answer, queued ones included.",
            lambda: coordinator.inFlight,
        )
        gauge(
            "pushprox_proxy_connections",
            "Open connections.",
            lambda: crowd.count,
        )
        self._ledger.total(
            "pushprox_proxy_requeued_scrapes",
            "Scrapes queued again since the line they were handed to was dead.",
            lambda: coordinator.requeued,
        )

    def watchDropped(self, announcing: Announcing) -> None:
        """
        Show how many connections were dropped where none but load balancers may
        connect.
        """
        self._ledger.total(
            "pushprox_proxy_dropped_connections",
            "Connections to haproxy: endpoints that were dropped: from who is none of"
            " trusted_proxies, or without a PROXY header.",
            lambda: announcing.dropped,
        )
