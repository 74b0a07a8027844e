"""
The bytes of Prometheus 3.5, of the Go client, of a proxy of ours and of a target,
as they travel.
"""

from __future__ import annotations

import re
from base64 import b64encode

from benchmarks.programs import Unmeasurable

_PROMETHEUS = (
    b"User-Agent: Prometheus/3.5.3\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    b"application/openmetrics-text;version=0.0.1;q=0.5,"
    b"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 300\r\n"
    b"\r\n"
)
_GO = b"User-Agent: Go-http-client/1.1\r\n"

# What a client adds below the id.
_AFTER_ID = b"\r\nX-Prometheus-Scrape-Timeout: 299.400000\r\n\r\n"

_ID = re.compile(rb"\r\nid:[ \t]*([^\r]+)", re.IGNORECASE)

#: How a proxy of ours begins a reply to a client; its length comes next.
PROXY_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Pushprox-Version: 0\r\n"
    b"Pushprox-Max-Polls: 16\r\n"
)


def idIn(message: bytes) -> bytes:
    """
    @return: the id of a scrape, from the headers of its request or its answer.
    """
    found = _ID.search(message)
    if found is None:
        raise Unmeasurable(f"no id in {message!r}")
    return found[1]


def basic(user: bytes, password: bytes) -> bytes:
    """
    @return: the value of an Authorization or Proxy-Authorization.
    """
    return b"Basic " + b64encode(user + b":" + password)


def bearer(token: bytes) -> bytes:
    """
    @return: the value of an Authorization or Proxy-Authorization.
    """
    return b"Bearer " + token


def scrapeRequest(
    host: bytes, path: bytes, isAbsolute: bool = True, credentials: bytes = b""
) -> bytes:
    """
    @param isAbsolute: whether it goes to a proxy.
    @param credentials: for the proxy, if any.
    @return: a scrape, as Prometheus asks for it.
    """
    where = b"http://" + host if isAbsolute else b""
    start = b"GET " + where + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    return start + _field(b"Proxy-Authorization", credentials) + _PROMETHEUS


def pollRequest(port: int, name: bytes, credentials: bytes = b"") -> bytes:
    """
    @param credentials: of the client, if any.
    @return: a client's poll.
    """
    length = b"Content-Length: %d\r\n" % len(name)
    more = b"Content-Type: \r\nAccept-Encoding: gzip\r\n\r\n"
    return _post(b"/poll", port, credentials) + length + more + name


def pushStart(port: int, credentials: bytes = b"") -> bytes:
    """
    @param credentials: of the client, if any.
    @return: a client's push, as far as the number in its Content-Length.
    """
    return _post(b"/push", port, credentials) + b"Content-Length: "


#: What is between the head of a push and what is pushed.
PUSH_BETWEEN = b"\r\nAccept-Encoding: gzip\r\n\r\n"


def answerStart(framing: bytes) -> bytes:
    """
    @param framing: the header that says where the body ends.
    @return: the status and headers of a target's answer, without an end.
    """
    return (
        b"HTTP/1.1 200 OK\r\n"
        + framing
        + b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    )


def answerEnd(scrape: bytes) -> bytes:
    """
    @return: the last headers of a target's answer in a push.
    """
    return b"Id: " + scrape + _AFTER_ID


def _post(path: bytes, port: int, credentials: bytes) -> bytes:
    host = b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
    return b"POST " + path + host + _GO + _field(b"Authorization", credentials)


def _field(name: bytes, value: bytes) -> bytes:
    return name + b": " + value + b"\r\n" if value else b""
