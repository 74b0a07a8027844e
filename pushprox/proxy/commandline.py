"""
The proxy's command line.
"""

from __future__ import annotations

from collections.abc import Callable

from pushprox.durations import duration
from pushprox.limits import Limits
from pushprox.options import Options as BaseOptions
from pushprox.options import (
    anyEndpoint,
    count,
    listenEndpoint,
    logParameters,
    webFlags,
    webParameters,
)
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.resources import PARTS
from pushprox.proxy.scrape import Timeouts

#: Where to listen: for all, and for some only.
LISTEN_FLAGS = ("listen", *(f"listen.{kind}" for kind in PARTS))


class Options(BaseOptions):
    """
    The proxy's command line: the flags of the reference, and ours.
    """

    programName = "pushprox-proxy"

    optParameters = [
        [
            "port",
            "p",
            None,
            "Port to listen on, on all addresses.",
            lambda text: listenEndpoint(f":{text}"),
        ],
        [
            "web.listen-address",
            None,
            None,
            "Address to listen on, as host:port or :port. [default: :8080]",
            listenEndpoint,
        ],
        [
            "scrape.max-timeout",
            None,
            "5m",
            "Any scrape with a timeout higher than this is clamped to it.",
            lambda text: duration(text, 0.01),
        ],
        [
            "scrape.default-timeout",
            None,
            "15s",
            "Timeout of a scrape that does not tell one.",
            lambda text: duration(text, 0.01),
        ],
        [
            "scrape.timeout-offset",
            None,
            "500ms",
            "How much earlier than the scraper the proxy gives up (a tenth of the"
            " timeout at most).",
            duration,
        ],
        [
            "registration.timeout",
            None,
            "5m",
            "After how long without a poll a client is forgotten.",
            lambda text: duration(text, 1.0),
        ],
        [
            "registration.warmup",
            None,
            "30s",
            "For how long after its start the proxy waits for unknown clients.",
            duration,
        ],
        [
            "poll.receipt-wait",
            None,
            "2s",
            "How long a client may take to show that a scrape has reached it.",
            duration,
        ],
        [
            "limit.polls-per-instance",
            None,
            "16",
            "Parked polls of one client process.",
            lambda text: count(text, 1),
        ],
        ["limit.polls", None, "20000", "Parked polls in all.", count],
        ["limit.queued-per-name", None, "1000", "Queued scrapes of a client.", count],
        ["limit.queued", None, "20000", "Queued scrapes in all.", count],
        [
            "limit.name-length",
            None,
            "253",
            "Bytes in the name of a client.",
            lambda text: count(text, 1),
        ],
        [
            "limit.names",
            None,
            "20000",
            "Names that have polled and are not forgotten, in all.",
            count,
        ],
        [
            "limit.instances-per-name",
            None,
            "100",
            "Client processes that poll for one name.",
            lambda text: count(text, 1),
        ],
        [
            "limit.polls-per-identity",
            None,
            "0",
            "Parked polls of one user, token or certificate. 0 is any number.",
            count,
        ],
        [
            "limit.connections",
            None,
            "30000",
            "Connections in all; less, where the limit of open files is less.",
            lambda text: count(text, 1),
        ],
        [
            "limit.connections-per-address",
            None,
            "0",
            "Connections of one address (IPv6: network of 64 bits). 0 is any number.",
            count,
        ],
        [
            "limit.requests-per-connection",
            None,
            "0",
            "Requests after which a connection is closed. 0 is any number.",
            count,
        ],
        [
            "limit.head-size",
            None,
            "65536",
            "Bytes in the head of a request.",
            lambda text: count(text, 1024),
        ],
        [
            "limit.head-time",
            None,
            "20s",
            "How long a head may take, and a connection until its first is whole.",
            lambda text: duration(text, 1.0),
        ],
        [
            "limit.body-size",
            None,
            "8388608",
            "Bytes in the body of a request that is no push.",
            lambda text: count(text, 1024),
        ],
        [
            "limit.body-time",
            None,
            "60s",
            "How long such a body may take, and a push between two pieces.",
            lambda text: duration(text, 1.0),
        ],
        *webParameters,
        *logParameters,
    ]
    optFlags = [
        [
            "names.shared",
            None,
            "Let all clients of one name have its scrapes in turn.",
        ],
        *webFlags,
    ]

    def __init__(self) -> None:
        super().__init__()
        for flag in LISTEN_FLAGS:
            self[flag] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        A Twisted endpoint to listen on, such as tcp:8080:interface=10.0.0.1 or
        ssl:8443:privateKey=key.pem:certKey=cert.pem. May be given more than once.
        """
        self["listen"].append(endpoint)

    def postOptions(self) -> None:
        """
        Gather all that is to be listened on.
        """
        super().postOptions()
        for flag in ("port", "web.listen-address"):
            if self[flag] is not None:
                self["listen"].append(self[flag])
        if not any(self[flag] for flag in LISTEN_FLAGS):
            self["listen"].append(listenEndpoint(":8080"))

    @property
    def rules(self) -> Rules:
        """
        What the coordinator is to keep to.
        """
        return Rules(
            registrationTimeout=self["registration.timeout"],
            warmup=self["registration.warmup"],
            receiptWait=self["poll.receipt-wait"],
            pollsPerInstance=self["limit.polls-per-instance"],
            polls=self["limit.polls"],
            queuedPerName=self["limit.queued-per-name"],
            queued=self["limit.queued"],
            shared=bool(self["names.shared"]),
            instancesPerName=self["limit.instances-per-name"],
            pollsPerIdentity=self["limit.polls-per-identity"],
            names=self["limit.names"],
        )

    @property
    def limits(self) -> Limits:
        """
        What connections may take.
        """
        return Limits(
            head=self["limit.head-time"],
            body=self["limit.body-time"],
            headSize=self["limit.head-size"],
            bodySize=self["limit.body-size"],
            requests=self["limit.requests-per-connection"],
            connections=self["limit.connections"],
            connectionsPerAddress=self["limit.connections-per-address"],
        )

    @property
    def timeouts(self) -> Timeouts:
        """
        How long scrapes may take.
        """
        return Timeouts(
            default=self["scrape.default-timeout"],
            maximum=self["scrape.max-timeout"],
            offset=self["scrape.timeout-offset"],
        )


def _listenFlag(kind: str, what: str) -> Callable[[Options, str], None]:
    """
    @return: what C{usage.Options} calls for a flag that may be given more than once.
    """

    def listen(self: Options, address: str) -> None:
        self[f"listen.{kind}"].append(anyEndpoint(address))

    listen.__doc__ = (
        f"An address for {what} alone, as host:port, :port or a Twisted endpoint."
        " May be given more than once."
    )
    return listen


# No def can have a dot in its name.
for _kind, _what in (
    ("clients", "clients (/poll and /push)"),
    ("scrapes", "scrapes"),
    ("admin", "all else (/clients, /metrics, /-/ready, /-/reload and the page)"),
):
    setattr(Options, f"opt_listen.{_kind}", _listenFlag(_kind, _what))
