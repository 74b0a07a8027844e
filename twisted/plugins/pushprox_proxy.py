"""
C{twistd pushprox-proxy}.
"""

from twisted.application.service import ServiceMaker

pushproxProxy = ServiceMaker(
    "pushprox-proxy",
    "pushprox.proxy.service",
    "Let Prometheus scrape what only its clients can reach.",
    "pushprox-proxy",
)
