"""
Tests for L{pushprox.lifecycle}, in both programs.
"""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.service import Options as ClientOptions
from pushprox.client.service import makeService as makeClientService
from pushprox.proxy.service import Options as ProxyOptions
from pushprox.proxy.service import makeService as makeProxyService
from tests.internet import Internet
from tests.rigs import SIGNED, heard
from tests.test_guard import ASKS_OWNER, USERS

LIFECYCLE = "--web.enable-lifecycle"


def told(status: bytes, text: bytes = b"", more: bytes = b"") -> bytes:
    """
    @return: a reply.
    """
    return (
        b"HTTP/1.1 %b\r\n%b%bContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (status, SIGNED, more, len(text), text)
    )


DISABLED = told(b"403 Forbidden", b"Not without the flag --web.enable-lifecycle\n")
RELOADED = told(b"200 OK")
ONLY = told(
    b"405 Method Not Allowed",
    b"Only POST or PUT requests allowed\n",
    b"Allow: POST, PUT\r\n",
)


class ReloadTests(SynchronousTestCase):
    """
    What C{/-/reload} does and answers.
    """

    def setUp(self) -> None:
        """
        Nobody listens yet.
        """
        self.net = Internet()
        self.path = Path(self.mktemp()).absolute()
        self.flag = f"--web.config.file={self.path}"

    def run_(self, service: IService) -> None:
        """
        Start a program.
        """
        service.privilegedStartService()
        service.startService()

        def end() -> None:
            service.stopService()
            self.net.cut(self.net.linesTo(80))
            self.net.pass_(300)
            self.assertEqual((self.net.ports, self.net.getDelayedCalls()), ({}, []))

        self.addCleanup(end)

    def proxy(self, *flags: str) -> None:
        """
        Start a proxy.
        """
        options = ProxyOptions()
        options.parseOptions(["--listen=tcp:80:interface=10.0.0.1", *flags])
        self.run_(makeProxyService(options, self.net))

    def client(self, *flags: str) -> None:
        """
        Start a client that nobody gives work.
        """
        options = ClientOptions()
        flags = ("--fqdn=t1", "--proxy-url=http://10.0.0.2/", *flags)
        options.parseOptions(["--metrics-addr=10.0.0.1:80", *flags])
        self.run_(makeClientService(options, self.net, {}))

    def ask(self, method: bytes = b"POST") -> bytes:
        """
        @return: what is answered.
        """
        asked = b"%b /-/reload HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n"
        return heard(self.net.talk("10.0.0.1", 80, asked % method))

    def test_disabled(self) -> None:
        """
        Without the flag it is refused with a line that names it, and nothing is
        read.
        """
        self.path.write_text("")
        self.proxy(self.flag)
        self.path.write_text("nonsense")
        for method in (b"POST", b"PUT"):
            self.assertEqual(self.ask(method), DISABLED)

    def test_methods(self) -> None:
        """
        It is for POST and PUT only.
        """
        self.proxy(LIFECYCLE)
        self.assertEqual(self.ask(), RELOADED)
        self.assertEqual(self.ask(b"PUT"), RELOADED)
        for method in (b"GET", b"DELETE"):
            self.assertEqual(self.ask(method), ONLY)
        head, _, _ = ONLY.partition(b"\r\n\r\n")
        self.assertEqual(self.ask(b"HEAD"), head + b"\r\n\r\n")

    def test_body(self) -> None:
        """
        A body is not waited for, nor kept.
        """
        self.proxy(LIFECYCLE)
        talker = self.net.talk(
            "10.0.0.1",
            80,
            b"POST /-/reload HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\nx",
        )
        self.assertEqual(heard(talker), RELOADED)

    def test_reload(self) -> None:
        """
        What stands in the file is in force at once, if it can be used; else what
        is wrong is told in one line.
        """
        self.path.write_text("")
        self.proxy(LIFECYCLE, self.flag)
        self.path.write_text("nonsense")
        self.assertEqual(
            self.ask(),
            told(
                b"500 Internal Server Error",
                f"failed to reload: {self.path}: expected YAML with a section like "
                "tls_server_config\n".encode(),
            ),
        )
        self.path.write_text(USERS)
        self.assertEqual(self.ask(), RELOADED)
        self.assertEqual(self.ask(), ASKS_OWNER)

    def test_client(self) -> None:
        """
        The client's own port has it, too.
        """
        self.path.write_text("")
        self.client(LIFECYCLE, self.flag)
        self.path.write_text(USERS)
        self.assertEqual(self.ask(), RELOADED)
        self.assertEqual(self.ask(), ASKS_OWNER)

    def test_clientWithoutFile(self) -> None:
        """
        Where there is no file, there is nothing to do.
        """
        self.client(LIFECYCLE)
        self.assertEqual(self.ask(), RELOADED)
        self.assertEqual(self.ask(b"GET"), ONLY)

    def test_clientDisabled(self) -> None:
        """
        Without the flag the client refuses likewise.
        """
        self.client()
        self.assertEqual(self.ask(), DISABLED)
