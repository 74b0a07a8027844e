"""
Tests for L{pushprox.scripts}.
"""

from __future__ import annotations

from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from pushprox.credentials import Credential, digestOf
from pushprox.proxy.roles import readRoles
from pushprox.scripts import client, proxy, token
from pushprox.webconfig import readWebConfig


class ScriptTests(SynchronousTestCase):
    """
    Tests for the console scripts.
    """

    def test_commandLine(self) -> None:
        """
        Each script runs twistd in the foreground with its own plugin and the
        flags it was given.
        """
        for script, plugin in ((proxy, "pushprox-proxy"), (client, "pushprox-client")):
            argv = ["/usr/bin/" + plugin, "--log.level=debug"]
            seen: list[list[str]] = []
            script(argv, lambda argv=argv, seen=seen: seen.append(list(argv)))
            self.assertEqual(
                seen,
                [["/usr/bin/" + plugin, "--nodaemon", plugin, "--log.level=debug"]],
            )


class TokenTests(SynchronousTestCase):
    """
    Tests for C{pushprox-token}.
    """

    def make(self, *words: str) -> tuple[str, str]:
        """
        @return: what was written for the owner, and for the proxy.
        """
        out, notes = StringIO(), StringIO()
        token(["/usr/bin/pushprox-token", *words], out, notes)
        return out.getvalue(), notes.getvalue()

    def test_token(self) -> None:
        """
        The token goes to its owner, and nothing else does. Beside it goes the
        line for the config file, which lets it in and does not tell it.
        """
        for name in ("client-a", "web.example", "0123", "no", "_", "null-a", "nulls"):
            made, notes = self.make(name)
            self.assertTrue(made.endswith("\n"))
            said = made[:-1]
            self.assertRegex(said, r"\A[A-Za-z0-9_-]{43}\Z")
            self.assertNotIn(said, notes)
            text = "".join(f"    {line}\n" for line in notes.splitlines())
            config = readWebConfig(
                f"pushprox:\n  tokens:\n{text}".encode(),
                "web.yml",
                {"pushprox": readRoles},
            )
            credential = Credential("token", name, digestOf(said.encode()))
            self.assertTrue(credential.isInForce(config))
        self.assertNotEqual(self.make("a"), self.make("a"))

    def test_usage(self) -> None:
        """
        Without a name, with two, or with one that YAML would take for something
        else nothing is made.
        """
        for words in (
            (),
            ("a", "b"),
            ("",),
            ("--help",),
            ("-a",),
            ("a b",),
            ("a:b",),
            ("a\n",),
            ("\xe9",),
            ("null",),
            ("Null",),
            ("NULL",),
            ("~",),
            ("a#",),
            ("*a",),
        ):
            out, notes = StringIO(), StringIO()
            error = self.assertRaises(
                SystemExit, token, ["pushprox-token", *words], out, notes
            )
            self.assertEqual(error.code, "Usage: pushprox-token NAME > FILE")
            self.assertEqual(out.getvalue() + notes.getvalue(), "")
