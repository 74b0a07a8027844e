"""
C{twistd pushprox-demo}.
"""

from twisted.application.service import ServiceMaker

pushproxDemo = ServiceMaker(
    "pushprox-demo",
    "pushprox.demo",
    "A pushprox proxy, client and exporter in one process.",
    "pushprox-demo",
)
