"""
How much memory each program takes when it has nothing to do, beside the reactor
alone.
"""

from __future__ import annotations

import attrs

from benchmarks.ours import pair
from benchmarks.programs import Memory, Program
from benchmarks.setting import Setting
from benchmarks.table import Section

#: What Twisted's reactor takes, with nothing to do: the least for any program.
_REACTOR = "from twisted.internet import reactor; reactor.run()"


def rest(setting: Setting) -> list[Section]:
    """
    Measure a proxy with one client, and that client.
    """
    found: dict[str, Memory] = {}
    python = setting.pushProx.python
    with Program("reactor", [python, "-c", _REACTOR]) as reactor:
        with pair(setting.pushProx) as (proxy, client, _):
            found["proxy"] = proxy.memory
            found["client"] = client.memory
        # It has long been at rest.
        found["Twisted's reactor alone"] = reactor.memory
    return [
        Section(
            "Memory at rest",
            ["resident MB", "of it private MB"],
            [
                [name, f"{each.resident / 1e6:.1f}", f"{each.private / 1e6:.1f}"]
                for name, each in found.items()
            ],
            {name: attrs.asdict(each) for name, each in found.items()},
        )
    ]
