"""
Tests for L{pushprox.scripts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pushprox.scripts import client, proxy


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
