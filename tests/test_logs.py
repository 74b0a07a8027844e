"""
Tests for L{pushprox.logs}.
"""

from __future__ import annotations

import json
import os
import time
from io import StringIO

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pushprox.logs import logObserver

#: 2026-11-22T20:36:00.364Z, in seconds since 1970.
WHEN = 1795379760.364


class Log:
    """
    A logger at a standing clock, and the lines that came of it.
    """

    def __init__(
        self, level: str = "info", style: str = "logfmt", namespace: str = "pushprox.x"
    ) -> None:
        self._stream = StringIO()
        self.observer = logObserver(self._stream, level, style)
        self.logger = Logger(namespace=namespace, observer=self._observe)

    def _observe(self, event: dict[str, object]) -> None:
        """
        Hand the event on, as if it came at L{WHEN}.
        """
        self.observer({**event, "log_time": WHEN})

    def text(self) -> str:
        """
        @return: all that was written.
        """
        return self._stream.getvalue()


class LogfmtTests(SynchronousTestCase):
    """
    Tests for the logfmt style.
    """

    def test_line(self) -> None:
        """
        A line has the event's own time in UTC, its level, its text, and the
        fields it was given, in their order.
        """
        log = Log()
        log.logger.info("Client {name} appeared", name="t1", instance="a b", polls=2)
        self.assertEqual(
            log.text(),
            'time=2026-11-22T20:36:00.364Z level=INFO msg="Client t1 appeared" '
            'name=t1 instance="a b" polls=2\n',
        )

    def test_timeZone(self) -> None:
        """
        The time is in UTC wherever the machine is.
        """

        def setZone(zone: str | None) -> None:
            if zone is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = zone
            time.tzset()

        self.addCleanup(setZone, os.environ.get("TZ"))
        setZone("XYZ-5")
        log = Log()
        log.logger.info("m")
        self.assertIn("time=2026-11-22T20:36:00.364Z ", log.text())

    def test_observer(self) -> None:
        """
        What is made is an observer in L{twisted.logger}'s sense.
        """
        verifyObject(ILogObserver, Log().observer)

    def test_values(self) -> None:
        """
        Nothing, truth, numbers, bytes and objects each have their text.
        """
        log = Log()
        log.logger.warn(
            "m", a=None, b=True, c=0.5, d=float("inf"), e=b"t\xc3\xa91\xff", f=[1]
        )
        self.assertIn(
            " level=WARN msg=m a= b=true c=0.5 d=inf e=t\u00e91\\xff f=[1]\n",
            log.text(),
        )

    def test_objectThatCannotBeShown(self) -> None:
        """
        An object whose text cannot be had does not cost the line.
        """

        class Mute:
            def __str__(self) -> str:
                raise RuntimeError("mute")

        log = Log()
        log.logger.info("m", what=Mute())
        self.assertIn("msg=m what=", log.text())
        self.assertEqual(log.text().count("\n"), 1)

    def test_ownKeysStand(self) -> None:
        """
        A field cannot take the place of the time or the text.
        """
        log = Log()
        log.logger.info("m", time=1, msg="y", name="t1")
        self.assertEqual(
            log.text(), "time=2026-11-22T20:36:00.364Z level=INFO msg=m name=t1\n"
        )

    def test_failure(self) -> None:
        """
        A failure adds its error, and its traceback on the same line.
        """
        log = Log()
        log.logger.failure("Poll failed", Failure(ValueError("no such thing")))
        self.assertIn(
            'level=ERROR msg="Poll failed" err="ValueError: no such thing" traceback="',
            log.text(),
        )
        self.assertEqual(log.text().count("\n"), 1)

    def test_failureWithoutText(self) -> None:
        """
        An error that says nothing is told by its class alone.
        """
        log = Log()
        log.logger.failure("Poll failed", Failure(KeyboardInterrupt()))
        self.assertIn(" err=KeyboardInterrupt traceback=", log.text())

    def test_othersFields(self) -> None:
        """
        Of the events of others only the text is written: their fields are
        what they format it from.
        """
        for namespace in ("twisted.web", "pushproxy"):
            log = Log(namespace=namespace)
            log.logger.warn("Client {name}", name="t1")
            self.assertIn('msg="Client t1"\n', log.text())

    @example("a stray \ud800", "logfmt")
    @example("a \u2028 b\x85", "logfmt")
    @given(st.text(st.characters(), max_size=40), st.sampled_from(["logfmt", "json"]))
    def test_oneLine(self, text: str, style: str) -> None:
        """
        Whatever is in a text, an event is one line that can be encoded.
        """
        log = Log(style=style)
        log.logger.info("{text}", text=text)
        log.text().encode("utf-8")
        self.assertEqual(len(log.text().splitlines()), 1)


class JSONTests(SynchronousTestCase):
    """
    Tests for the JSON style.
    """

    def test_line(self) -> None:
        """
        A line is a JSON object with the keys that logfmt has, in its order,
        and values of JSON's own kinds.
        """
        log = Log(style="json")
        log.logger.error(
            "Client {name} failed", name="t1", polls=2, wait=1.5, limit=float("nan")
        )
        self.assertEqual(
            list(json.loads(log.text()).items()),
            [
                ("time", "2026-11-22T20:36:00.364Z"),
                ("level", "ERROR"),
                ("msg", "Client t1 failed"),
                ("name", "t1"),
                ("polls", 2),
                ("wait", 1.5),
                ("limit", "nan"),
            ],
        )


class LevelTests(SynchronousTestCase):
    """
    Tests for what is written at which level.
    """

    def written(self, level: str, namespace: str) -> list[str]:
        """
        @return: the levels of the events of C{namespace} that are written.
        """
        names = []
        for constant in LogLevel.iterconstants():
            log = Log(level=level, namespace=namespace)
            log.logger.emit(constant, "m")
            if log.text():
                names.append(constant.name)
        return names

    def test_own(self) -> None:
        """
        Events as severe as the level, or more so, are written.
        """
        self.assertEqual(
            {name: self.written(name, "pushprox.x") for name in ("debug", "error")},
            {
                "debug": ["debug", "info", "warn", "error", "critical"],
                "error": ["error", "critical"],
            },
        )

    def test_twisted(self) -> None:
        """
        Twisted's chatter at info is left out, unless everything is asked for;
        its warnings are not.
        """
        for namespace in ("twisted.internet.base", "log_legacy"):
            self.assertEqual(
                [
                    self.written(name, namespace)[0]
                    for name in ("debug", "info", "error")
                ],
                ["debug", "warn", "error"],
            )
