"""
PushProx: let Prometheus scrape what it cannot reach.

A proxy stands where Prometheus and the clients can both reach it; a client
stands beside the targets, asks the proxy for scrapes by long poll, performs
them and pushes the answers back.
"""

__version__ = "0.1.0"
