"""
Tests for L{pushprox.tls}: real TLS, in memory.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL.SSL import TLS_METHOD, Connection, Context, WantReadError
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from pushprox.site import Site
from pushprox.tls import (
    KEYS_LIFE,
    SMALL,
    TRIM_AFTER,
    SecureEndpoint,
    SecureFactory,
    SecureLine,
    ServerCreator,
    endpointFromString,
    renewBuffer,
    trimHeap,
)
from tests.internet import Internet, Talker
from tests.servers import serverOptions
from tests.test_channel import SocketTransport

#: The group of RFC 7919 appendix A.1.
FFDHE2048 = b"""\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


class Echo(Protocol):
    """
    Says what it hears, as soon as it hears it.

    @ivar lost: why the connection ended, when it did.
    @ivar atFirst: what stood between it and its bytes in the beginning.
    """

    transport: SecureLine
    lost: Failure | None = None

    def connectionMade(self) -> None:
        """
        See what there is.
        """
        self.atFirst = self.buffers()

    def buffers(self) -> list[Any]:
        """
        @return: what stands between it and its bytes.
        """
        connection = self.transport.getHandle()
        return [connection._into_ssl, connection._from_ssl]

    def dataReceived(self, data: bytes) -> None:
        """
        Say it, and hang up after C{bye}.
        """
        self.transport.write(data)
        if data.endswith(b"bye"):
            self.transport.loseConnection()
            self.transport.write(b"x" * 2 * SMALL)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        A word too late is not heard.
        """
        self.lost = reason
        self.transport.write(b"x" * 2 * SMALL)


class Echoes(Factory):
    """
    Keeps its lines, the newest last.
    """

    noisy = False

    def __init__(self) -> None:
        self.lines: list[Echo] = []

    def buildProtocol(self, addr: object) -> Echo:
        """
        One more.
        """
        self.lines.append(Echo())
        return self.lines[-1]


class Whisperer:
    """
    Somebody who speaks TLS, by other means than ours.

    @ivar heard: all that was said.
    """

    def __init__(
        self,
        net: Internet,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
        port: int = 8443,
        before: bytes = b"",
        talker: Talker | None = None,
    ) -> None:
        """
        @param before: what is said before TLS begins.
        @param talker: a connection that is there already.
        """
        self.heard = b""
        self._net = net
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_hostname="proxy.example",
            session=session,
        )
        self.talker: Talker = talker or net.talk("10.0.0.1", port, before)
        self._try(self.tls.do_handshake)
        self.listen()

    def _try(self, act: Callable[[], object]) -> None:
        """
        Do it, as often as it takes.
        """
        while True:
            try:
                act()
            except ssl.SSLWantReadError:
                if not self._carry():
                    raise
            else:
                self._carry()
                return

    def _carry(self) -> bool:
        """
        @return: whether anything came.
        """
        if said := self._outgoing.read():
            self.talker.transport.write(said)
        self._net.settle()
        came, self.talker.received = self.talker.received, b""
        self._incoming.write(came)
        return bool(came)

    def say(self, text: bytes) -> None:
        """
        Say something, and hear what comes.
        """
        self._try(lambda: self.tls.write(text))
        self.listen()

    def hangUp(self) -> None:
        """
        Say no more.
        """
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._carry()

    def listen(self) -> None:
        """
        Hear all that came.
        """
        while True:
            try:
                heard = self.tls.read(2**16)
            except ssl.SSLWantReadError:
                if not self._carry():
                    return
            else:
                self.heard += heard
                if not heard:
                    return  # they said goodbye


class TLSTestCase(SynchronousTestCase):
    """
    Echoes at 10.0.0.1, port 8443.
    """

    authority = trustme.CA()
    leaf = authority.issue_cert("proxy.example")

    def setUp(self) -> None:
        """
        Nobody listens yet.
        """
        self.net = Internet()
        self.echoes = Echoes()

    def pem(self, *blobs: trustme.Blob | bytes) -> str:
        """
        @return: the name of a new file with these PEM blocks.
        """
        path = Path(self.mktemp())
        path.write_bytes(
            b"".join(b if isinstance(b, bytes) else b.bytes() for b in blobs)
        )
        return str(path)

    def files(self, leaf: trustme.LeafCert) -> dict[str, str]:
        """
        @return: words that name a certificate and its key.
        """
        return {
            "privateKey": self.pem(leaf.private_key_pem),
            "certKey": self.pem(leaf.cert_chain_pems[0]),
        }

    def words(self, **words: str) -> str:
        """
        @return: words of an endpoint.
        """
        return "".join(
            f":{name}={quoteStringArgument(value)}" for name, value in words.items()
        )

    def endpoint(self, reactor: Any = None, **words: str) -> IStreamServerEndpoint:
        """
        @return: the endpoint of these words, with a certificate if they name
            none.
        """
        words = words if "privateKey" in words else {**self.files(self.leaf), **words}
        return endpointFromString(
            self.net if reactor is None else reactor, f"ssl:8443{self.words(**words)}"
        )

    def serve(self, **words: str) -> None:
        """
        Listen.
        """
        port = self.successResultOf(self.endpoint(**words).listen(self.echoes))
        self.addCleanup(port.stopListening)

    def context(self, **settings: Any) -> ssl.SSLContext:
        """
        @return: what a client goes by; it trusts our authority.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    def whisper(
        self,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Whisperer:
        """
        @return: somebody who is connected.
        """
        return Whisperer(self.net, context or self.context(), session)

    @property
    def echo(self) -> Echo:
        """
        @return: the newest.
        """
        return self.echoes.lines[-1]

    def assertChanged(self, before: list[Any], into: bool, out: bool) -> None:
        """
        The newest line has other buffers than before, or has not.
        """
        changed = [a != b for a, b in zip(before, self.echo.buffers(), strict=True)]
        self.assertEqual(changed, [into, out])


class LineTests(TLSTestCase):
    """
    Tests for L{SecureLine}.
    """

    def test_bytes(self) -> None:
        """
        Bytes go both ways, few and many, also while there are more to come.
        """
        self.serve()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            whisperer = self.whisper(self.context(maximum_version=version))
            said = b""
            for size in (1, SMALL, SMALL + 1, 2**14 + 1, 300_000, 1, 70_000):
                said += bytes(range(256)) * (size // 256) + b"." * (size % 256)
                whisperer.say(said[len(whisperer.heard) :])
            self.assertTrue(whisperer.heard == said, len(whisperer.heard))

    def test_pieces(self) -> None:
        """
        It does not matter in which pieces bytes arrive.
        """
        self.serve()
        whisperer = self.whisper()
        end = whisperer.talker.transport
        write = end.write

        def trickle(data: bytes) -> None:
            for at in range(0, len(data), 1500):
                write(data[at : at + 1500])
                self.net.settle()

        end.write = trickle  # type: ignore[method-assign]
        said = b"0123456789" * 10_000
        whisperer.say(said)
        self.assertTrue(whisperer.heard == said, len(whisperer.heard))

    def test_handshakeLeavesNothing(self) -> None:
        """
        The buffers of the handshake are not kept.
        """
        self.serve()
        whisperer = self.whisper()
        self.assertChanged(self.echo.atFirst, into=True, out=True)
        before = self.echo.buffers()
        whisperer.say(b"hello")
        self.assertChanged(before, into=False, out=False)

    def test_bigLeavesNothing(self) -> None:
        """
        A buffer through which much went is not kept, in either direction; one
        through which heads go is.
        """
        self.serve()
        whisperer = self.whisper()
        before = self.echo.buffers()
        whisperer.say(b"x" * (SMALL // 2))
        self.assertChanged(before, into=False, out=False)
        self.echo.transport.write(b"x" * SMALL * 2)
        self.assertChanged(before, into=False, out=True)
        before = self.echo.buffers()
        whisperer.say(b"x" * SMALL * 2)
        self.assertChanged(before, into=True, out=True)
        self.assertEqual(len(whisperer.heard), SMALL * 4 + SMALL // 2)

    def test_early(self) -> None:
        """
        What is written before the handshake is over arrives after it.
        """
        self.serve()
        early = b"x" * SMALL * 3
        make = self.echoes.buildProtocol

        def makeEager(addr: object) -> Echo:
            echo = make(addr)
            echo.connectionMade = lambda: echo.transport.write(early)
            return echo

        self.echoes.buildProtocol = makeEager
        self.assertEqual(self.whisper().heard, early)

    def test_goodbye(self) -> None:
        """
        All that was said before the end arrives, and nothing after it.
        """
        self.serve()
        whisperer = self.whisper()
        said = b"x" * 100_000 + b"bye"
        whisperer.say(said)
        self.assertEqual(whisperer.heard, said)
        whisperer.hangUp()
        self.assertFalse(whisperer.talker.transport.connected)

    def test_hangUp(self) -> None:
        """
        A peer that ends the session, or is gone, is heard to.
        """
        self.serve()
        self.whisper().hangUp()
        whisperer = self.whisper()
        self.net.cut([whisperer.talker.transport])
        for echo in self.echoes.lines:
            self.assertIsNotNone(echo.lost)
            echo.transport.write(b"x" * 2 * SMALL)

    def test_kernel(self) -> None:
        """
        The kernel watches for dead peers beneath TLS as it does without.
        """
        site = Site(Resource(), self.net)
        factory = SecureFactory(serverOptions(self.leaf), site, self.net)
        with socket.socket() as sock:
            transport = SocketTransport(sock)
            line = factory.buildProtocol(None)
            line.makeConnection(transport)
            self.assertEqual(transport.asked, ["nodelay", "keepalive"])
            for option, seconds in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPCNT, 3)):
                self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, option), seconds)
            line.connectionLost(Failure(ConnectionDone()))

    def test_noTLS(self) -> None:
        """
        Who does not speak TLS is hung up on.
        """
        self.serve()
        talker = self.net.talk("10.0.0.1", 8443, b"GET / HTTP/1.1\r\n\r\n")
        self.assertIsNotNone(talker.lost)

    def test_otherOpenSSL(self) -> None:
        """
        A connection that keeps its buffers in a way we do not know is left
        alone.
        """

        class Strange:
            """
            It has no C{_from_ssl}.
            """

        strange: Any = Strange()
        vars(strange).update(_ssl="mine", _into_ssl="mine")
        renewBuffer(strange, "_into_ssl")
        self.assertEqual(vars(strange), {"_ssl": "mine", "_into_ssl": "mine"})

    def test_knownOpenSSL(self) -> None:
        """
        We know how the pyOpenSSL that is installed keeps them.
        """
        connection: Any = Connection(Context(TLS_METHOD))
        connection.set_connect_state()
        for buffer in ("_into_ssl", "_from_ssl"):
            before = getattr(connection, buffer)
            renewBuffer(connection, buffer)
            self.assertNotEqual(getattr(connection, buffer), before)
        self.assertRaises(WantReadError, connection.do_handshake)
        self.assertTrue(connection.bio_read(2**15))


class TrimTests(TLSTestCase):
    """
    What handshakes leave behind.
    """

    def setUp(self) -> None:
        """
        The trimming is counted.
        """
        super().setUp()
        self.trimmed: list[float] = []
        factory = SecureFactory(
            serverOptions(self.leaf),
            self.echoes,
            self.net,
            lambda: self.trimmed.append(self.net.seconds()),
        )
        self.port = self.net.listenTCP(8443, factory)

    def test_once(self) -> None:
        """
        The heap is trimmed once after handshakes, and not by itself.
        """
        self.net.pass_(1000)
        self.whisper()
        self.net.pass_(1)
        self.whisper()
        self.net.pass_(1000)
        self.assertEqual(self.trimmed, [1000 + TRIM_AFTER])
        self.whisper()
        self.net.pass_(TRIM_AFTER)
        self.assertEqual(self.trimmed[1:], [2001 + TRIM_AFTER])

    def test_stop(self) -> None:
        """
        Who stops listening leaves no timer behind, also when a handshake ends
        later.
        """
        self.whisper()
        late = self.net.talk("10.0.0.1", 8443)
        self.port.stopListening()
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.net.listenTCP(8443, Factory.forProtocol(Talker))
        talk = self.net.talk
        self.net.talk = lambda *_: late  # type: ignore[method-assign]
        whisperer = self.whisper()
        self.net.talk = talk  # type: ignore[method-assign]
        whisperer.say(b"hello")
        self.assertEqual(whisperer.heard, b"hello")
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_quiet(self) -> None:
        """
        Who never shook hands to the end leaves no timer either.
        """
        hello = b"\x16\x03\x01\x01\x00\x01"
        self.assertIsNone(self.net.talk("10.0.0.1", 8443, hello).lost)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.port.stopListening()
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_real(self) -> None:
        """
        The C library is asked, if it is one that knows how to.
        """
        trimHeap()


class SessionTests(TLSTestCase):
    """
    Sessions are resumed by tickets.
    """

    def assertResumes(self, isResumed: bool, *versions: ssl.TLSVersion) -> None:
        """
        A client that comes back at once is, or is not, taken for the same.
        """
        for version in versions:
            context = self.context(maximum_version=version)
            first = self.whisper(context)
            self.assertFalse(first.tls.session_reused)
            again = self.whisper(context, first.tls.session)
            self.assertIs(again.tls.session_reused, isResumed)
            again.say(b"hello")
            self.assertEqual(again.heard, b"hello")

    def test_resumed(self) -> None:
        """
        Who was here before need not be shown the certificate again.
        """
        self.serve()
        self.assertResumes(True, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

    def test_newKeys(self) -> None:
        """
        The tickets' keys change after a while: a ticket of before leads to a
        full handshake, and one of now does not. Connections stay.
        """
        self.serve()
        context = self.context()
        first = self.whisper(context)
        self.net.pass_(KEYS_LIFE - 1)
        self.assertTrue(self.whisper(context, first.tls.session).tls.session_reused)
        self.net.pass_(1)
        self.assertFalse(self.whisper(context, first.tls.session).tls.session_reused)
        self.assertResumes(True, ssl.TLSVersion.TLSv1_3)
        first.say(b"hello")
        self.assertEqual(first.heard, b"hello")

    def test_otherEndpoint(self) -> None:
        """
        A ticket of another process, or of another endpoint, is worth nothing.
        """
        self.serve()
        context = self.context()
        session = self.whisper(context).tls.session
        other = f"ssl:8444{self.words(**self.files(self.leaf))}"
        endpointFromString(self.net, other).listen(self.echoes)
        whisperer = Whisperer(self.net, context, session, 8444)
        self.assertFalse(whisperer.tls.session_reused)

    def test_renew(self) -> None:
        """
        A new context shows what there is to show by then, and takes no tickets
        of the one before.
        """
        shown = [self.leaf, self.authority.issue_cert("proxy.example")]
        creator = ServerCreator(lambda: serverOptions(shown[0]), self.net)
        verifyObject(IOpenSSLServerConnectionCreator, creator)
        endpoint = endpointFromString(self.net, "tcp:8443")
        secure = SecureEndpoint(endpoint, creator, self.net)
        verifyObject(IStreamServerEndpoint, secure)
        secure.listen(self.echoes)
        context = self.context()
        first = self.whisper(context)
        del shown[0]
        creator.renew()
        again = self.whisper(context, first.tls.session)
        self.assertFalse(again.tls.session_reused)
        self.assertNotEqual(
            first.tls.getpeercert(binary_form=True),
            again.tls.getpeercert(binary_form=True),
        )

    def test_renewFails(self) -> None:
        """
        What cannot be used does not take the place of what can.
        """
        options = [serverOptions(self.leaf)]
        creator = ServerCreator(options.pop, self.net)
        self.assertRaises(IndexError, creator.renew)
        SecureEndpoint(
            endpointFromString(self.net, "tcp:8443"), creator, self.net
        ).listen(self.echoes)
        whisperer = self.whisper()
        whisperer.say(b"hello")
        self.assertEqual(whisperer.heard, b"hello")


class VersionTests(TLSTestCase):
    """
    Which versions of TLS are spoken.
    """

    def test_newest(self) -> None:
        """
        The newest version that both sides know is spoken.
        """
        for words in ({}, {"sslmethod": "TLS_METHOD"}, {"sslmethod": "SSLv23_METHOD"}):
            self.setUp()
            self.serve(**words)
            self.assertEqual(self.whisper().tls.version(), "TLSv1.3")
            old = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
            self.assertEqual(self.whisper(old).tls.version(), "TLSv1.2")

    def test_atMost(self) -> None:
        """
        TLS 1.3 can be left out.
        """
        self.serve(sslmethod="TLSv1_2_METHOD")
        self.assertEqual(self.whisper().tls.version(), "TLSv1.2")

    def test_old(self) -> None:
        """
        Nothing older is: the answer to TLS 1.1, whatever ciphers it comes with,
        is the alert "protocol version" (RFC 8446 section 6).
        """
        self.serve()
        hello = b"\x03\x02" + bytes(32) + b"\0" + b"\0\x08\xc0\x0a\xc0\x14\0\x35\0\x2f"
        hello += b"\x01\0"
        message = b"\x01" + len(hello).to_bytes(3, "big") + hello
        record = b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message
        talker = self.net.talk("10.0.0.1", 8443, record)
        self.assertRegex(talker.received, rb"\A\x15\x03.\x00\x02\x02\x46\Z")
        self.assertIsNotNone(talker.lost)

    def test_unsafe(self) -> None:
        """
        No word leads to an older one.
        """
        for method in ("TLSv1_METHOD", "TLSv1_1_METHOD", "SSLv3_METHOD", "x", ""):
            with self.assertRaises(ValueError) as raised:
                self.endpoint(sslmethod=method)
            self.assertEqual(
                str(raised.exception),
                "expected sslmethod=TLS_METHOD (TLS 1.2 or later) or TLSv1_2_METHOD, "
                f"got {method!r}",
            )


class WordsTests(TLSTestCase):
    """
    Tests for L{endpointFromString}.
    """

    def listened(self, **words: str) -> list[Any]:
        """
        @return: where it listens: port, interface and backlog.
        """
        reactor = MemoryReactorClock()
        self.endpoint(reactor, **words).listen(self.echoes)
        ((port, _, backlog, interface),) = reactor.tcpServers
        return [port, interface, backlog]

    def test_everywhere(self) -> None:
        """
        Without an interface all addresses are listened on, of both kinds where
        the machine has both.
        """
        port, interface, backlog = self.listened()
        self.assertEqual((port, backlog), (8443, 4096))
        self.assertIn(interface, ("::", "0.0.0.0"))
        plain = MemoryReactorClock()
        endpointFromString(plain, "tcp6:8080:interface=\\:\\:").listen(self.echoes)
        self.assertEqual(plain.tcpServers[0][3], "::")

    def test_somewhere(self) -> None:
        """
        With one, that alone is; and the backlog can be given.
        """
        for interface in ("127.0.0.1", "::1", "localhost"):
            self.assertEqual(
                self.listened(interface=interface, backlog="50"), [8443, interface, 50]
            )

    def test_oneFile(self) -> None:
        """
        Key, certificate and its chain may be in one file.
        """
        leaf = self.authority.create_child_ca().issue_cert("proxy.example")
        self.serve(privateKey=self.pem(leaf.private_key_pem, *leaf.cert_chain_pems))
        self.whisper()

    def test_chain(self) -> None:
        """
        The chain may have a file of its own. Without it, who trusts the root
        alone does not trust us.
        """
        leaf = self.authority.create_child_ca().issue_cert("proxy.example")
        chain = self.pem(*leaf.cert_chain_pems[1:])
        self.serve(**self.files(leaf), extraCertChain=chain)
        self.whisper()
        self.setUp()
        self.serve(**self.files(leaf))
        self.assertRaises(ssl.SSLCertVerificationError, self.whisper)

    def test_positions(self) -> None:
        """
        Words may go without their names, in Twisted's order, and the kind in
        capitals.
        """
        files = [quoteStringArgument(path) for path in self.files(self.leaf).values()]
        description = ":".join(["SSL", "8443", *files, "TLSv1_2_METHOD", "10.0.0.1"])
        endpointFromString(self.net, description).listen(self.echoes)
        self.assertEqual(list(self.net.ports), [("10.0.0.1", 8443)])
        self.assertEqual(self.whisper().tls.version(), "TLSv1.2")

    def test_diffieHellman(self) -> None:
        """
        Ciphers with the classic Diffie-Hellman are there for who gives the
        parameters.
        """
        leaf = self.authority.issue_cert("proxy.example", key_type=trustme.KeyType.RSA)
        context = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
        self.serve(**self.files(leaf), dhParameters=self.pem(FFDHE2048))
        self.whisper(context)
        self.setUp()
        self.serve(**self.files(leaf))
        self.assertRaises(ssl.SSLError, self.whisper, context)

    def assertUnusable(self, expected: str, **words: str) -> None:
        """
        The words are refused with exactly this text.
        """
        with self.assertRaises(ValueError) as raised:
            self.endpoint(**words)
        self.assertEqual(str(raised.exception), expected)

    def test_locked(self) -> None:
        """
        Nobody is asked for a key's passphrase.
        """
        key: Any = load_pem_private_key(self.leaf.private_key_pem.bytes(), None)
        locked = key.private_bytes(
            Encoding.PEM,
            PrivateFormat.TraditionalOpenSSL,
            BestAvailableEncryption(b"passphrase"),
        )
        files = {**self.files(self.leaf), "privateKey": self.pem(locked)}
        self.assertUnusable(
            f"{files['privateKey']}: expected a PEM private key without a passphrase",
            **files,
        )

    def test_junk(self) -> None:
        """
        A file that is something else is named, in one line.
        """
        junk = self.pem(b"-----BEGIN CERTIFICATE-----\nnonsense\n")
        certificates = (
            f"{junk}: expected PEM certificates (-----BEGIN CERTIFICATE-----)"
        )
        for words, expected in (
            ({"certKey": junk}, certificates),
            ({"extraCertChain": junk}, certificates),
            (
                {"privateKey": junk},
                f"{junk}: expected a PEM private key without a passphrase",
            ),
            (
                {"dhParameters": junk},
                f"{junk}: expected PEM Diffie-Hellman parameters",
            ),
        ):
            self.assertUnusable(expected, **{**self.files(self.leaf), **words})

    def test_openKey(self) -> None:
        """
        A key that everybody may read is named in the log.
        """
        files = self.files(self.leaf)
        said: list[str] = []

        def note(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.secrets":
                said.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        for mode in (0o600, 0o644):
            Path(files["privateKey"]).chmod(mode)
            self.endpoint(**files)
        [line] = said
        self.assertIn(f"{files['privateKey']} may hold a secret", line)

    def test_missing(self) -> None:
        """
        So is a file that is not there.
        """
        for word in ("certKey", "extraCertChain", "privateKey", "dhParameters"):
            self.assertUnusable(
                "/nowhere/x.pem: expected a readable PEM file: "
                "No such file or directory",
                **{**self.files(self.leaf), word: "/nowhere/x.pem"},
            )
        self.assertUnusable(
            "server.pem: expected a readable PEM file: No such file or directory",
            privateKey="server.pem",
        )

    def test_mismatch(self) -> None:
        """
        A key that is another certificate's is refused, with both files named.
        """
        files = self.files(self.leaf)
        files["privateKey"] = self.pem(
            self.authority.issue_cert("other.example").private_key_pem
        )
        self.assertUnusable(
            f"{files['privateKey']}: expected the private key of the certificate in "
            f"{files['certKey']} (key values mismatch)",
            **files,
        )

    def test_numbers(self) -> None:
        """
        So are numbers that are none.
        """
        self.assertUnusable(
            "expected a whole number of at least 1, got '0'",
            **self.files(self.leaf),
            backlog="0",
        )
        for port in ("http", "70000", ""):
            description = f"ssl:{port}{self.words(**self.files(self.leaf))}"
            error = self.assertRaises(
                ValueError, endpointFromString, self.net, description
            )
            self.assertIn("with a port of at most 65535", str(error))

    def test_unknown(self) -> None:
        """
        A word there is not, or no word at all, is an error.
        """
        self.assertRaises(TypeError, self.endpoint, colour="red")
        self.assertRaises(TypeError, endpointFromString, self.net, "ssl")
        self.assertRaises(ValueError, endpointFromString, self.net, "")
        self.assertRaises(IndexError, endpointFromString, self.net, "port=1")

    def test_others(self) -> None:
        """
        All other kinds of endpoints are Twisted's.
        """
        endpointFromString(self.net, "tcp:80:interface=10.0.0.1").listen(self.echoes)
        self.assertEqual(list(self.net.ports), [("10.0.0.1", 80)])
        options = endpointFromString(self.net, "unix:/run/x")
        self.assertNotIsInstance(options, SecureEndpoint)

    def test_noSecrets(self) -> None:
        """
        No key is in what stands for the endpoint in a log.
        """
        self.assertNotIn("PRIVATE", repr(self.endpoint()))
        self.assertIsInstance(serverOptions(self.leaf), CertificateOptions)
