"""
C{twistd pushprox-client}.
"""

from twisted.application.service import ServiceMaker

pushproxClient = ServiceMaker(
    "pushprox-client",
    "pushprox.client.service",
    "Scrape local targets for Prometheus behind a pushprox-proxy.",
    "pushprox-client",
)
