"""
Tests for L{pushprox.secrets}: real files.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.secrets import MAX_SIZE, readLine, warnOfOpenFiles


class ReadTests(SynchronousTestCase):
    """
    How a secret is read.
    """

    def written(self, content: bytes) -> str:
        """
        @return: the name of a file with this in it.
        """
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_line(self) -> None:
        """
        One end of a line at the end does not count, nor the mark that an editor may
        put at the beginning; all else does.
        """
        for content, line in {
            b"s3kr1t": b"s3kr1t",
            b"s3kr1t\n": b"s3kr1t",
            b"s3kr1t\r\n": b"s3kr1t",
            b"s3kr1t\n\n": b"s3kr1t\n",
            b" s3kr1t \n": b" s3kr1t ",
            b"\xef\xbb\xbfs3kr1t\r\n": b"s3kr1t",
            b"": b"",
        }.items():
            self.assertEqual(readLine(self.written(content)), line)

    def test_unreadable(self) -> None:
        """
        It is said why a file cannot be read.
        """
        for path, why in {
            "/nowhere/token": "No such file or directory",
            ".": "Is a directory",
        }.items():
            error = self.assertRaises(ValueError, readLine, path)
            self.assertEqual(str(error), f"expected a readable file: {why}")

    def test_long(self) -> None:
        """
        What is too long to be a secret is not read to its end, and not told.
        """
        readLine(self.written(b"x" * MAX_SIZE))
        for path in (self.written(b"x" * (MAX_SIZE + 1)), "/dev/zero"):
            error = self.assertRaises(ValueError, readLine, path)
            self.assertEqual(str(error), f"expected at most {MAX_SIZE} bytes")


class WarningTests(SynchronousTestCase):
    """
    Who may read them too.
    """

    def setUp(self) -> None:
        """
        Somebody reads the log.
        """
        self.said: list[str] = []

        def note(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.secrets":
                self.said.append(f"{event['log_level'].name} {formatEvent(event)}")

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def file(self, mode: int) -> Path:
        """
        @return: a file with these permissions.
        """
        path = Path(self.mktemp()).absolute()
        path.write_text("s3kr1t")
        path.chmod(mode)
        return path

    def test_open(self) -> None:
        """
        A file that everybody may read is named, once, and what is in it is not;
        others are not named.
        """
        for mode in (0o644, 0o604, 0o646):
            path = self.file(mode)
            warnOfOpenFiles(None, str(path), str(path))
            [line] = self.said
            self.assertEqual(
                line,
                f"warn {path} may hold a secret, and every user of this machine can"
                f" read it: chmod o-r {path}",
            )
            self.said.clear()
        for mode in (0o600, 0o640, 0o660, 0o611, 0o602):
            warnOfOpenFiles(str(self.file(mode)))
        self.assertEqual(self.said, [])

    def test_link(self) -> None:
        """
        Of a link it is what it leads to that counts, and that is named, too.
        """
        for mode, count in ((0o600, 0), (0o644, 1)):
            path, link = self.file(mode), Path(self.mktemp()).absolute()
            link.symlink_to(path)
            warnOfOpenFiles(str(link))
            self.assertEqual(len(self.said), count)
        self.assertIn(f"warn {link} may hold", self.said[0])
        self.assertTrue(self.said[0].endswith(f"chmod o-r {path}"))

    def test_exchangeable(self) -> None:
        """
        A file, a link, or what a link leads to that every user could exchange for
        another is named with its folder; not where a user can only exchange his own.
        """
        for mode, said in ((0o755, 0), (0o1777, 0), (0o777, 1)):
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            key = folder / "key"
            key.touch(0o600)
            private, link = self.file(0o600), folder / "link"
            link.symlink_to(private)
            leads = Path(self.mktemp()).absolute()
            leads.symlink_to(key)
            folder.chmod(mode)
            for path in (key, link, leads):
                warnOfOpenFiles(str(path))
                line = (
                    f"warn {path} may hold a secret, and every user of this machine"
                    f" can put another in its place: chmod o-w {folder}"
                )
                self.assertEqual(self.said, [line] * said)
                self.said.clear()

    def test_missing(self) -> None:
        """
        What is not there can be read by nobody.
        """
        warnOfOpenFiles("/nowhere/token")
        self.assertEqual(self.said, [])
