"""
TLS for those who listen, with thousands of quiet lines in mind.

Knows: how a line is wrapped, which contexts are used for that, and what the
words of an C{ssl:} endpoint mean. Does not know: what travels on a line.

The protocol is Twisted's. Three things are added, since 5,000 lines that are
parked would each keep what they once needed:

  - a line's buffers, which OpenSSL lets grow and never gives back, are changed
    for new ones after anything big went through them;
  - what many handshakes at once leave behind in the heap goes back to the
    system (each needs some 30 kB while it lasts);
  - a client may resume its session by a ticket, for which we keep nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from OpenSSL._util import lib
from OpenSSL.SSL import Connection
from OpenSSL.SSL import Error as OpenSSLError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.ssl import (
    CertificateOptions,
    DiffieHellmanParameters,
    TLSVersion,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.filepath import FilePath
from zope.interface import implementer

from pushprox.announced import AnnouncedEndpoint, Announcing
from pushprox.certificates import readFile, readIdentity
from pushprox.options import BACKLOG, count, endpointWords, listenEndpoint
from pushprox.secrets import warnOfOpenFiles

#: What goes through a line's buffers at once without being worth new ones
#: afterwards, in bytes: the heads of requests.
SMALL = 1024

#: How long after a handshake the heap is trimmed, in seconds: once for all that
#: happen meanwhile.
TRIM_AFTER = 10.0

#: How long tickets are sealed with the same keys, in seconds. With TLS 1.2 who
#: steals them can read what was resumed by such tickets.
KEYS_LIFE = 12 * 3600.0


def renewBuffer(connection: Connection, buffer: str) -> None:
    """
    Give a connection a new buffer for an empty one that has grown. pyOpenSSL
    has no public way to do that; should it once keep its buffers elsewhere, we
    keep off them.

    @param buffer: C{"_into_ssl"} or C{"_from_ssl"}.
    """
    inner = vars(connection)
    if inner.keys() >= {"_ssl", "_into_ssl", "_from_ssl"}:
        inner[buffer] = lib.BIO_new(lib.BIO_s_mem())
        # This frees the one that is replaced.
        lib.SSL_set_bio(inner["_ssl"], inner["_into_ssl"], inner["_from_ssl"])


class SecureLine(TLSMemoryBIOProtocol):
    """
    A line in TLS that needs little while nothing happens.

    @ivar _settled: whether the handshake is over and cleaned up after.
    """

    factory: SecureFactory
    _settled = False

    def dataReceived(self, data: bytes) -> None:
        """
        Decrypt what came, and do not keep the room that this took.
        """
        super().dataReceived(data)
        if not self._handshakeDone:
            return
        # All that came was taken out.
        if not self._settled or len(data) > SMALL:
            renewBuffer(self.getHandle(), "_into_ssl")
        if not self._settled:
            self._settled = True
            renewBuffer(self.getHandle(), "_from_ssl")
            self.factory.handshakeEnded()

    def write(self, data: bytes) -> None:
        """
        Encrypt and send, and do not keep the room that this took.
        """
        super().write(data)
        # It is with the transport now, which it may not be before we settled.
        if len(data) > SMALL and self._settled and not self._lostTLSConnection:
            renewBuffer(self.getHandle(), "_from_ssl")


def trimHeap() -> None:
    """
    Give free memory back to the system, where the C library knows how (glibc,
    which by itself does so only at the heap's end).
    """
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)


class SecureFactory(TLSMemoryBIOFactory):
    """
    Wraps the lines of a factory in TLS.
    """

    protocol = SecureLine

    def __init__(
        self,
        creator: IOpenSSLServerConnectionCreator,
        wrapped: IProtocolFactory,
        clock: IReactorTime,
        trim: Callable[[], object] = trimHeap,
    ) -> None:
        super().__init__(creator, False, wrapped, clock)
        self._trim = trim
        self._trimming: IDelayedCall | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        @return: one more line, unless the factory that is wrapped wants none.
        """
        line = self.wrappedFactory.buildProtocol(addr)
        return None if line is None else self.protocol(self, line)

    def handshakeEnded(self) -> None:
        """
        Trim the heap soon, if we still listen by then.
        """
        if self._trimming is None and self.numPorts:
            self._trimming = self._clock.callLater(TRIM_AFTER, self._trimNow)

    def _trimNow(self) -> None:
        self._trimming = None
        self._trim()

    def stopFactory(self) -> None:
        """
        Leave no timer behind.
        """
        if self._trimming is not None:
            self._trimming.cancel()
            self._trimming = None


@implementer(IOpenSSLServerConnectionCreator)
@attrs.define(eq=False)
class ServerCreator:
    """
    Makes the server's side of TLS connections.

    The tickets for its clients (RFC 8446 section 2.2, RFC 5077) are sealed with
    random keys that each context has for itself. So no session outlives its
    context, and new keys take a new context.

    @ivar _makeOptions: makes what a context is made of.
    """

    _makeOptions: Callable[[], CertificateOptions]
    _clock: IReactorTime
    _options: CertificateOptions = attrs.field(init=False, repr=False)
    _due: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """
        Make the first context, which shows whether it can be made.
        """
        self.renew()

    def renew(self) -> None:
        """
        Use a new context from now on. Connections keep the one they have.
        """
        options = self._makeOptions()
        options.getContext()
        self._options = options
        self._due = self._clock.seconds() + KEYS_LIFE

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        """
        @return: one more connection.
        """
        if self._clock.seconds() >= self._due:
            self.renew()
        return self._options.serverConnectionForTLS(tlsProtocol)


@implementer(IStreamServerEndpoint)
@attrs.frozen(eq=False)
class SecureEndpoint:
    """
    Listens for TLS.

    @ivar _endpoint: where.
    """

    _endpoint: IStreamServerEndpoint
    _creator: IOpenSSLServerConnectionCreator
    _clock: IReactorTime

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @return: the port.
        """
        return self._endpoint.listen(
            SecureFactory(self._creator, protocolFactory, self._clock)
        )

    def over(
        self, change: Callable[[IStreamServerEndpoint], IStreamServerEndpoint]
    ) -> SecureEndpoint:
        """
        @return: the same, with something between TLS and where it listens.
        """
        return attrs.evolve(self, endpoint=change(self._endpoint))


#: What Twisted's word C{sslmethod} may say, and what it means here.
_METHODS: dict[str | None, dict[str, Any]] = {
    None: {},
    "TLS_METHOD": {},
    "TLS_SERVER_METHOD": {},
    "SSLv23_METHOD": {},  # the old name of TLS_METHOD
    "TLSv1_2_METHOD": {"lowerMaximumSecurityTo": TLSVersion.TLSv1_2},
}


def sslEndpoint(
    reactor: Any,
    port: str,
    privateKey: str = "server.pem",
    certKey: str | None = None,
    sslmethod: str | None = None,
    interface: str = "",
    backlog: str = str(BACKLOG),
    extraCertChain: str | None = None,
    dhParameters: str | None = None,
) -> IStreamServerEndpoint:
    """
    The words of Twisted's C{ssl:} endpoint. Other than there, all addresses of
    both kinds are listened on where none is named, the backlog is ours, a chain
    may follow the certificate in its file, and there is nothing below TLS 1.2.

    @param reactor: the clock too.
    @raise ValueError: if a word cannot be used; it names the file, if it is one.
    """
    if sslmethod not in _METHODS:
        raise ValueError(
            "expected sslmethod=TLS_METHOD (TLS 1.2 or later) or TLSv1_2_METHOD, "
            f"got {sslmethod!r}"
        )
    given = readIdentity(certKey or privateKey, privateKey, extraCertChain)
    warnOfOpenFiles(privateKey)
    given.update(_METHODS[sslmethod], enableSessionTickets=True)
    if dhParameters is not None:
        readFile(dhParameters)
        given["dhParameters"] = DiffieHellmanParameters.fromFile(FilePath(dhParameters))
    try:
        creator = ServerCreator(lambda: CertificateOptions(**given), reactor)
    except OpenSSLError:
        # All else was looked at before.
        raise ValueError(
            f"{dhParameters}: expected PEM Diffie-Hellman parameters"
        ) from None
    host = f"[{interface}]" if ":" in interface else interface
    address = listenEndpoint(f"{host}:{port}", backlog=count(backlog, 1))
    return SecureEndpoint(serverFromString(reactor, address), creator, reactor)


def endpointFromString(
    reactor: Any,
    description: str,
    announcing: Announcing | None = None,
) -> IStreamServerEndpoint:
    """
    As Twisted's L{serverFromString}, but what C{ssl:} means is said by
    L{sslEndpoint}, and what C{haproxy:} means by L{pushprox.announced}.

    @param announcing: what is asked of those who connect to a C{haproxy:} endpoint.
    @raise Exception: if it cannot be used. Endpoint plugins raise whatever they
        like: for a file that is missing, a word they do not know, a number that
        is none.
    """
    arguments, words = endpointWords(description)
    if arguments and arguments[0].lower() == "haproxy":
        if announcing is None or not announcing.trusted():
            raise ValueError(
                "expected trusted_proxies in the section pushprox of --web.config.file:"
                " nobody else may connect there"
            )
        between = partial(AnnouncedEndpoint, announcing=announcing)
        below = endpointFromString(reactor, description.partition(":")[2])
        # The header comes before TLS.
        if isinstance(below, SecureEndpoint):
            return below.over(between)
        return between(below)
    if arguments and arguments[0].lower() == "ssl":
        return sslEndpoint(reactor, *arguments[1:], **words)
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    return endpoint
