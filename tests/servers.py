"""
What stands outside the client: servers with real TLS and certificates made for
the occasion, and web proxies of twenty lines. All in memory, without a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import (
    CertificateBuilder,
    DNSName,
    SubjectAlternativeName,
    load_pem_x509_certificate,
    random_serial_number,
)
from OpenSSL.crypto import FILETYPE_PEM, load_certificate, load_privatekey
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS

from pushprox.client.exchange import Unanswered
from pushprox.client.lines import Lines
from pushprox.client.location import ProxyLocation
from pushprox.client.transport import agentFor
from pushprox.client.trust import tlsPolicy
from pushprox.client.webproxy import WebProxies

#: A password, which must not be seen anywhere.
SECRET = "s3kr1t"


@attrs.define(eq=False)
class Exchange(Protocol):
    """
    A server's side of a connection: it takes request heads, and answers them.
    """

    factory: Any
    received: bytes = b""

    def connectionMade(self) -> None:
        """
        Be counted.
        """
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Answer every head with the factory's reply.
        """
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.factory.heads.append(head.split(b"\r\n"))
            self.answer()

    def answer(self) -> None:
        """
        Write the factory's reply.
        """
        assert self.transport is not None
        self.transport.write(self.factory.reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be counted no longer.
        """
        self.factory.connections.remove(self)


@attrs.define(eq=False)
class Server(Factory):
    """
    A server that takes request heads down and gives everyone the same reply.
    """

    noisy: ClassVar[bool] = False
    reply: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    heads: list[list[bytes]] = attrs.field(factory=list)
    connections: list[Exchange] = attrs.field(factory=list)

    def buildProtocol(self, addr: object) -> Exchange:
        """
        One more connection.
        """
        return Exchange(self)


class WebProxyExchange(Exchange):
    """
    A web proxy's side of a connection: after the reply to the first head all
    bytes are the destination's.
    """

    destination: Any = None

    def dataReceived(self, data: bytes) -> None:
        """
        To the destination once there is one.
        """
        if self.destination is None:
            super().dataReceived(data)
        else:
            self.destination.dataReceived(data)

    def answer(self) -> None:
        """
        Reply, and connect to the destination if that was a 200.
        """
        super().answer()
        if self.factory.destination is not None:
            self.destination = self.factory.destination.buildProtocol(None)
            self.destination.makeConnection(self.transport)


@attrs.define(eq=False)
class WebProxyServer(Server):
    """
    A web proxy with one destination, which is on the same machine.
    """

    reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    destination: Any = None

    def buildProtocol(self, addr: object) -> Exchange:
        """
        One more connection.
        """
        return WebProxyExchange(self)


def serverOptions(leaf: trustme.LeafCert, **more: Any) -> CertificateOptions:
    """
    What a TLS server shows: this certificate and its chain.
    """
    chain = [
        load_certificate(FILETYPE_PEM, pem.bytes()) for pem in leaf.cert_chain_pems
    ]
    return CertificateOptions(
        privateKey=load_privatekey(FILETYPE_PEM, leaf.private_key_pem.bytes()),
        certificate=chain[0],
        extraCertChain=chain[1:],
        **more,
    )


def leafFor(authority: trustme.CA, *names: str) -> trustme.LeafCert:
    """
    A certificate of this authority with these names as they are, or with no
    subjectAltName at all: neither is to be had from trustme itself.
    """
    model = load_pem_x509_certificate(
        authority.issue_cert("x").cert_chain_pems[0].bytes()
    )
    key = ec.generate_private_key(ec.SECP256R1())
    builder = CertificateBuilder(
        model.issuer,
        model.subject,
        key.public_key(),
        random_serial_number(),
        model.not_valid_before_utc,
        model.not_valid_after_utc,
    )
    if names:
        alternatives = SubjectAlternativeName([DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    signer: Any = load_pem_private_key(authority.private_key_pem.bytes(), None)
    leaf = builder.sign(signer, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(private, leaf.public_bytes(Encoding.PEM), [])


class ServersTestCase(SynchronousTestCase):
    """
    Servers in memory, whose host names do not matter and whose ports do.
    """

    authority = trustme.CA()
    leaf = authority.issue_cert("proxy.example", "192.0.2.1", "2001:db8::1")

    def setUp(self) -> None:
        """
        Nobody listens yet, and nobody is connected.
        """
        self.reactor = MemoryReactorClock()
        self.completer = ConnectionCompleter(self.reactor)
        self.pumps: list[IOPump] = []
        self.policy = tlsPolicy(self.pem(self.authority.cert_pem), None, None)

    def underscored(self) -> trustme.LeafCert:
        """
        A certificate for C{push_proxy}.
        """
        return leafFor(self.authority, "push_proxy")

    def pem(self, *blobs: trustme.Blob | bytes) -> str:
        """
        @return: the name of a new file with these PEM blocks.
        """
        path = Path(self.mktemp())
        path.write_bytes(
            b"".join(b if isinstance(b, bytes) else b.bytes() for b in blobs)
        )
        return str(path)

    def listen(
        self, port: int, server: Factory, options: CertificateOptions | None = None
    ) -> None:
        """
        Let a server listen, over TLS if it has options for that.
        """
        self.reactor.listenTCP(
            port, server if options is None else self.overTLS(server, options)
        )

    def overTLS(self, server: Factory, options: CertificateOptions) -> Factory:
        """
        The same server behind TLS.
        """
        return TLSMemoryBIOFactory(options, False, server, clock=self.reactor)

    def settle(self) -> None:
        """
        Connect and carry bytes until all is quiet.
        """
        while True:
            if pump := self.completer.succeedOnce():
                self.pumps.append(pump)
            moved = [pump.flush() for pump in self.pumps]
            if pump is None and not any(moved):
                return

    def agent(
        self,
        url: str,
        environment: Mapping[str, str] | None = None,
        policy: IPolicyForHTTPS | None = None,
        lines: Lines | None = None,
        serverName: str | None = None,
    ) -> IAgent:
        """
        The agent for a proxy URL in an environment.
        """
        location = ProxyLocation.fromText(url)
        if serverName is not None:
            location = location.provenAs(serverName)
        return agentFor(
            self.reactor,
            location,
            policy or self.policy,
            WebProxies(environment or {}).proxyFor(location.base),
            lines or Lines(self.reactor, maxIdle=0),
            10.0,
        )

    def get(self, agent: IAgent, url: str, headers: Headers | None = None) -> Any:
        """
        @return: a Deferred of the body of the response.
        """
        d = agent.request(b"GET", url.encode("ascii"), headers).addCallback(readBody)
        self.settle()
        return d

    def fetched(self, url: str, **agent: Any) -> Deferred[bytes]:
        """
        @return: a Deferred of the body of what is there.
        """
        result: Deferred[bytes] = self.get(self.agent(url, **agent), url)
        return result

    def refuseConnection(self) -> None:
        """
        Nobody listens; and the endpoint's next attempt, had the name another
        address, would be due.
        """
        self.completer.failOnce(Failure(ConnectionRefusedError()))
        self.reactor.advance(1)

    def refusal(self, d: Deferred[bytes]) -> str:
        """
        @return: why a request was never answered.
        """
        return repr(self.failureResultOf(d, Unanswered).value.cause)

    def assertQuiet(self) -> None:
        """
        Nothing stays behind: no timer and no attempt to connect.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.tcpClients, [])
