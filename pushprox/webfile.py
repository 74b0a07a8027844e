"""
A web config file, which is read again when it changes.

Knows when to look, and that a file that cannot be used does not take the place
of one that can. Does not know what is done with what stands there.
"""

from __future__ import annotations

import os
from pathlib import Path

from OpenSSL.SSL import SSL_CB_HANDSHAKE_DONE, Connection
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from pushprox.options import Options
from pushprox.secrets import warnOfOpenFiles
from pushprox.tls import SecureEndpoint, ServerCreator
from pushprox.watched import Watch
from pushprox.webconfig import TLSServer, WebConfig, readWebConfig
from pushprox.webtls import WebOptions, readFiles


def webFileOf(options: Options, clock: IReactorTime) -> WebFile:
    """
    @return: the file that a command line names.
    @raise SystemExit: if it cannot be used.
    """
    try:
        # Where we are may change: twistd goes to its --rundir later.
        file = WebFile(os.path.abspath(options["web.config.file"]), clock)
    except ValueError as error:
        raise SystemExit(f"{options.programName}: --web.config.file: {error}") from None
    warnOfOpenFiles(*file.secrets)
    return file


@implementer(IOpenSSLServerConnectionCreator)
class WebFile:
    """
    A web config file, and the files that it names.

    @ivar path: where it is.
    @ivar speaksTLS: whether its ports do.
    @ivar isCurrent: whether what is in force is what stands there.
    """

    _log = Logger()

    def __init__(self, path: str, clock: IReactorTime) -> None:
        """
        @raise ValueError: if it cannot be used; one line that names the file, the
            key, and what was expected.
        """
        self.path = path
        self.isCurrent = True
        self._clock = clock
        self._watch = Watch(clock)
        self._config, self._tls = self._read()
        self.speaksTLS = self._tls is not None
        if self.speaksTLS:
            self._creator = ServerCreator(self._makeOptions, clock)

    def _makeOptions(self) -> WebOptions:
        assert self._tls is not None
        return WebOptions(self._tls)

    def _read(self) -> tuple[WebConfig, TLSServer | None]:
        """
        @return: what stands there now, and what it says of TLS with all that is
            in the files. Both can be used.
        """
        path = self.path
        self._watch.only(path)
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise ValueError(
                f"{path}: expected a readable file: {error.strerror}"
            ) from None
        config = readWebConfig(text, path)
        if config.tls is None:
            return config, None
        # Also if what is in them cannot be used: that may change.
        self._watch.also(*config.tls.files)
        try:
            tls = readFiles(config.tls)
            WebOptions(tls)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return config, tls

    @property
    def config(self) -> WebConfig:
        """
        What is in force, which is not older than a second.
        """
        if self._watch.sawChange():
            self._readAgain()
        return self._config

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """
        The files with what nobody else is to know.
        """
        return (self.path, self._tls.key.path if self._tls else None)

    def _readAgain(self) -> None:
        try:
            config, tls = self._read()
            if (tls is not None) != self.speaksTLS:
                raise ValueError(
                    f"{self.path}: tls_server_config: expected TLS to be on or off "
                    "as at the start: that takes a restart"
                )
            if self._config.users and not config.users:
                # So looks a file that is just being written.
                raise ValueError(
                    f"{self.path}: basic_auth_users: expected some, as before: to let "
                    "everybody in takes a restart"
                )
        except ValueError as error:
            self.isCurrent = False
            self._log.error("What was read before stays in force: {error}", error=error)
            return
        self.isCurrent = True
        self._config, self._tls = config, tls
        if self.speaksTLS:
            # No session outlives this.
            self._creator.renew()
        self._log.info("Read {path} again", path=self.path)

    def secured(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """
        @return: the same with TLS, if that is wanted.
        @raise ValueError: if it has TLS of its own.
        """
        if not self.speaksTLS:
            return endpoint
        if isinstance(endpoint, SecureEndpoint):
            raise ValueError(f"expected tcp: since {self.path} has the TLS for it")
        return SecureEndpoint(endpoint, self, self._clock)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        """
        @return: one more connection, by what is in force.
        """
        _ = self.config
        connection = self._creator.serverConnectionForTLS(tlsProtocol)
        assert self._tls is not None
        if self._tls.clientAuth.verifies:

            def told(connection: Connection, where: int, _: int) -> None:
                if where & SSL_CB_HANDSHAKE_DONE and self._isExpired(connection):
                    tlsProtocol.abortConnection()

            connection.set_info_callback(told)
        return connection

    def _isExpired(self, connection: Connection) -> bool:
        """
        @return: whether the client's certificate has expired. OpenSSL looks at
            that, but not when a session is resumed.
        """
        shown = connection.get_peer_certificate()
        if shown is None:
            return False
        until = shown.to_cryptography().not_valid_after_utc
        return until.timestamp() < self._clock.seconds()
