"""
What is counted, on a registry that is handed in, and the /metrics resource.

Counters are plain ints behind a collector: counting costs a dict access on the
reactor's thread, and all other work is done when somebody asks. Not before that
is L{prometheus_client} imported, which takes a megabyte.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import Resource

from pushprox import __version__

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector
    from twisted.web.server import Request

#: Upper bounds of durations, in seconds: a scrape takes milliseconds, its
#: deadline is rarely above a minute.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def _families() -> ModuleType:
    from prometheus_client import core

    return core


class Tally:
    """
    A counter, by the values of its labels.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = ()
    ) -> None:
        """
        @param name: without the suffix C{_total}.
        """
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        if not labels:
            self.add(by=0)

    def add(self, *values: str, by: int = 1) -> None:
        """
        @param values: one for each label, in order.
        """
        self._counts[values] += by

    def collect(self) -> Metric:
        """
        @return: the counts, for a registry.
        """
        family: CounterMetricFamily = _families().CounterMetricFamily(
            self._name, self._documentation, labels=self._labels
        )
        for values, count in self._counts.items():
            family.add_metric(values, count)
        return family


class Reading:
    """
    A gauge, or a counter that is kept elsewhere: read when somebody asks.
    """

    def __init__(
        self,
        family: str,
        name: str,
        documentation: str,
        read: Callable[[], float],
    ) -> None:
        """
        @param family: what L{prometheus_client} calls such a metric.
        """
        self._family = family
        self._name = name
        self._documentation = documentation
        self._read = read

    def collect(self) -> Metric:
        """
        @return: the value of now, for a registry.
        """
        family = getattr(_families(), self._family)
        metric: Metric = family(self._name, self._documentation, value=self._read())
        return metric


class Spread:
    """
    A histogram of seconds, by the values of its labels.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counts: defaultdict[tuple[str, ...], list[int]] = defaultdict(
            lambda: [0] * (len(SECONDS) + 1)
        )
        self._sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
        if not labels:
            # There from the start, like all that is known beforehand.
            self._counts[()] = [0] * (len(SECONDS) + 1)

    def add(self, seconds: float, *values: str) -> None:
        """
        @param values: one for each label, in order.
        """
        self._counts[values][bisect_left(SECONDS, seconds)] += 1
        self._sums[values] += seconds

    def collect(self) -> Metric:
        """
        @return: the buckets, for a registry.
        """
        family: HistogramMetricFamily = _families().HistogramMetricFamily(
            self._name, self._documentation, labels=self._labels
        )
        for values, counts in self._counts.items():
            totals = accumulate(counts)
            bounds = [*map(str, SECONDS), "+Inf"]
            buckets = list(zip(bounds, map(float, totals), strict=True))
            family.add_metric(values, buckets, self._sums[values])
        return family


class Registry(Protocol):
    """
    Where collectors can be read.
    """

    def register(self, collector: Any) -> None:
        """
        Read this one too.
        """


class LateRegistry:
    """
    A registry for when somebody asks for one.
    """

    def __init__(self) -> None:
        self._collectors: list[Any] = []

    def register(self, collector: Any) -> None:
        """
        Read this one too.
        """
        self._collectors.append(collector)

    def make(self) -> CollectorRegistry:
        """
        @return: one that reads all.
        """
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        for collector in self._collectors:
            registry.register(collector)
        return registry


class Ledger:
    """
    All that one program counts, and what its process needs.
    """

    def __init__(self, registry: Registry, program: str) -> None:
        """
        @param registry: where it can be read.
        @param program: C{"proxy"} or C{"client"}.
        """
        self._entries: list[Tally | Reading | Spread] = []
        self._program = program
        self._process: Collector | None = None
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """
        What L{CollectorRegistry} asks of a collector.
        """
        if self._process is None:
            from prometheus_client import ProcessCollector

            self._process = ProcessCollector(registry=None)
        build = _families().GaugeMetricFamily(
            "pushprox_build_info",
            "What is running here; the value is always 1.",
            labels=["program", "version", "python"],
        )
        build.add_metric([self._program, __version__, platform.python_version()], 1)
        yield build
        yield from self._process.collect()
        for entry in self._entries:
            yield entry.collect()

    def tally(self, name: str, documentation: str, *labels: str) -> Tally:
        """
        @return: a new counter.
        """
        entry = Tally(name, documentation, labels)
        self._entries.append(entry)
        return entry

    def spread(self, name: str, documentation: str, *labels: str) -> Spread:
        """
        @return: a new histogram.
        """
        entry = Spread(name, documentation, labels)
        self._entries.append(entry)
        return entry

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """
        @param read: called whenever somebody wants to know.
        """
        self._entries.append(Reading("GaugeMetricFamily", name, documentation, read))

    def total(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """
        @param name: without the suffix C{_total}.
        @param read: called whenever somebody wants to know; it never falls.
        """
        self._entries.append(Reading("CounterMetricFamily", name, documentation, read))


class ReactorLag(Service):
    """
    Looks once a second how late the reactor is: a busy reactor delays every
    scrape by as much.
    """

    interval = 1.0

    def __init__(self, clock: IReactorTime, ledger: Ledger) -> None:
        self._clock = clock
        self._due = 0.0
        self._call: IDelayedCall | None = None
        self._lag = ledger.spread(
            "pushprox_reactor_lag_seconds",
            "How late the reactor was when looked at, once a second.",
        )

    def startService(self) -> None:
        """
        Begin to look.
        """
        super().startService()
        self._wait()

    def _wait(self) -> None:
        self._due = self._clock.seconds() + self.interval
        self._call = self._clock.callLater(self.interval, self._look)

    def _look(self) -> None:
        self._lag.add(self._clock.seconds() - self._due)
        self._wait()

    def stopService(self) -> None:
        """
        Leave no timer behind.
        """
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None


class MetricsResource(Resource):
    """
    C{/metrics}: in the format the reader asks for.
    """

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        """
        @return: all metrics, as Prometheus's exposition format or OpenMetrics.
        """
        from prometheus_client.exposition import choose_encoder

        accept = (request.getHeader(b"Accept") or b"").decode("latin-1")
        try:
            encode, contentType = choose_encoder(accept)
        except TypeError:
            # It compares whatever stands there for a version with numbers.
            encode, contentType = choose_encoder("")
        request.setHeader(b"Content-Type", contentType.encode("latin-1"))
        body: bytes = encode(self._registry)
        return body
