"""
The proxy's resource tree: which door or page a request is for, and the pages
themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data

from pushprox import __version__
from pushprox.lifecycle import Reload
from pushprox.metrics import MetricsResource
from pushprox.proxy.access import PAGES
from pushprox.proxy.admission import OPEN, Admission
from pushprox.proxy.coordinator import Coordinator
from pushprox.proxy.doors import writeText
from pushprox.proxy.poll import PollDoor
from pushprox.proxy.push import PushDoor
from pushprox.proxy.scrape import ScrapeDoor, Timeouts
from pushprox.request import STAR, Request, StreamingResource
from pushprox.site import Crossroads

#: A proxy that just started does not know its clients yet, and a list without
#: them would make Prometheus drop their targets. Clients of the reference are
#: back after at most 7.5 s.
SETTLING = 10.0


class ClientsResource(StreamingResource):
    """
    C{/clients}: the known names, as Prometheus's service discovery reads them. A
    body is not waited for: by then who asks may not see them any more.
    """

    isLeaf = True

    def __init__(
        self,
        coordinator: Coordinator,
        clock: IReactorTime,
        admission: Admission = OPEN,
    ) -> None:
        super().__init__()
        self._admission = admission
        self._coordinator = coordinator
        self._clock = clock
        self._started = clock.seconds()

    def render_GET(self, request: Any) -> bytes | int:
        """
        @return: a list of target groups in a steady order, of those that who asks
            may scrape. Labels that begin with C{__meta_} end with relabelling, so
            they disturb nobody.
        """
        access = self._admission.accessOf(request)
        seen = [r for r in self._coordinator.known() if access.mayScrape(r.name)]
        warmup = self._coordinator.rules.warmup
        settling = min(SETTLING, warmup) if seen else warmup
        left = self._started + settling - self._clock.seconds()
        if left > 0:
            # Prometheus keeps its last list when it gets an error.
            request.setHeader(b"Retry-After", b"%d" % math.ceil(left))
            writeText(
                request,
                503,
                "Service Unavailable",
                "The proxy has just started and its clients are still coming back:"
                f" ask again in {left:.0f} s",
            )
            request.finish()
            return NOT_DONE_YET
        groups = [
            {
                "targets": [registration.name],
                "labels": {
                    "__meta_pushprox_connected": str(registration.connected).lower(),
                    "__meta_pushprox_contested": str(registration.contested).lower(),
                },
            }
            for registration in sorted(seen, key=lambda r: r.name)
        ]
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps(groups).encode("ascii") + b"\n"


class ProxyMetrics(MetricsResource, StreamingResource):
    """
    C{/metrics}: nor is a body waited for here.
    """


class Text(StreamingResource):
    """
    A resource that says one line. It does not wait for a body, and nothing is
    kept of one: strangers may ask it.
    """

    isLeaf = True

    def __init__(self, line: Callable[[], tuple[int, str]]) -> None:
        """
        @param line: the status and the line of now.
        """
        super().__init__()
        self._line = line

    def render_GET(self, request: Request) -> bytes:
        """
        @return: the line.
        """
        status, line = self._line()
        request.setResponseCode(status)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return line.encode("utf-8") + b"\n"


class Refusal(StreamingResource):
    """
    A resource that refuses whatever is asked of it, by any method, and does not
    wait for a body.
    """

    isLeaf = True

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__()
        self._reply = (status, reason, text)

    def render(self, request: Request) -> int:
        """
        Say why.
        """
        writeText(request, *self._reply)
        request.finish()
        return NOT_DONE_YET


LANDING_PAGE = f"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>PushProx proxy</title></head>
<body>
<h1>PushProx proxy</h1>
<p>Version {__version__}. Point Prometheus's <code>proxy_url</code> here.</p>
<ul>
<li><a href="clients">Clients</a>, for service discovery</li>
<li><a href="metrics">Metrics</a></li>
<li><a href="-/healthy">Healthy?</a></li>
<li><a href="-/ready">Ready?</a></li>
</ul>
</body>
</html>
""".encode("ascii")


NOT_HERE = Refusal(404, "Not Found", "404 page not found")

_ELSEWHERE = "This port takes no scrapes: they go to a port of --listen.scrapes"
ELSEWHERE = Refusal(404, _ELSEWHERE, _ELSEWHERE)

#: What listeners of each kind serve, where there are several kinds, beside what all
#: do. None of these paths stands for the scrapes.
PARTS: dict[str, tuple[bytes, ...]] = {
    "clients": (b"/poll", b"/push"),
    "scrapes": (),
    "admin": (b"/", b"/clients", b"/metrics", b"/-/ready", b"/-/reload"),
}
_EVERYWHERE = (b"*", b"/-/healthy")


def isScrape(request: Request) -> bool:
    """
    @return: whether this is a request in absolute form, or a CONNECT (RFC 9112
        section 3.2): neither a path nor a star.
    """
    return not request.uri.startswith((b"/", b"*")) or request.method == b"CONNECT"


#: Who may read these needs to be granted the word.
_WORDS = {path: word for word, path in PAGES.items()}

#: Who polls as nobody has no business here.
_CLIENTS = frozenset([b"/poll", b"/push"])


class Root(Crossroads):
    """
    What is asked for: a scrape, or else one of the proxy's own pages.
    """

    def __init__(
        self,
        scrapes: IResource,
        pages: dict[bytes, IResource],
        admission: Admission = OPEN,
    ) -> None:
        """
        @param pages: by their whole paths.
        @param admission: who may have which.
        """
        super().__init__()
        self._scrapes = scrapes
        self._pages = pages
        self._admission = admission

    def choose(self, request: Request) -> IResource:
        """
        Decide by the form of the request's target, before its path is looked at.
        What its sender may not have in any case is refused before its body comes.
        """
        access = self._admission.accessOf(request)
        if isScrape(request):
            if not access.mayScrapeAny:
                return self._admission.refuse(request, "Not allowed to scrape")
            return self._scrapes
        path = request.path
        word = _WORDS.get(path)
        if word is not None and not access.mayRead(word):
            text = f"Not allowed to read {path.decode('ascii')}"
            return self._admission.refuse(request, text)
        if path in _CLIENTS and not access.mayPollAny:
            return self._admission.refuse(request, "Not allowed to poll")
        return self._pages.get(path, NOT_HERE)

    def part(self, kind: str) -> Root:
        """
        @param kind: one of L{PARTS}.
        @return: what is for this kind of listener. All else is not there.
        """
        paths = _EVERYWHERE + PARTS[kind]
        scrapes = self._scrapes if kind == "scrapes" else ELSEWHERE
        pages = {path: self._pages[path] for path in paths}
        return Root(scrapes, pages, self._admission)


def makeRoot(
    coordinator: Coordinator,
    timeouts: Timeouts,
    nameLimit: int,
    registry: CollectorRegistry,
    bytesCarried: Callable[[int], None],
    clock: IReactorTime,
    tellsScrapes: bool = False,
    admission: Admission = OPEN,
    reload: Callable[[], object] | None = None,
) -> Root:
    """
    The whole tree.

    @param reload: what is to be done at C{/-/reload}, if anything.
    """

    def readiness() -> tuple[int, str]:
        if coordinator.stopping:
            return 503, "PushProx proxy is stopping."
        return 200, "PushProx proxy is ready."

    scrapes = ScrapeDoor(
        coordinator, timeouts, nameLimit, bytesCarried, tellsScrapes, admission
    )
    pages: dict[bytes, IResource] = {
        b"*": STAR,
        b"/": Data(LANDING_PAGE, "text/html; charset=utf-8"),
        b"/poll": PollDoor(coordinator, nameLimit, admission),
        b"/push": PushDoor(coordinator, admission),
        b"/clients": ClientsResource(coordinator, clock, admission),
        b"/metrics": ProxyMetrics(registry),
        b"/-/healthy": Text(lambda: (200, "PushProx proxy is healthy.")),
        b"/-/ready": Text(readiness),
        b"/-/reload": Reload(reload),
    }
    return Root(scrapes, pages, admission)
