"""
What a refusal means, for whoever runs this client: whose fault it is, and where
to look.

Knows: the statuses by which a proxy refuses, and whatever may stand before it.
Does not know: what is done then.
"""

from __future__ import annotations

from pushprox.client.pushing import shown
from pushprox.client.uplink import Reply, Uplink

#: The flags that tell the proxy who we are.
_FLAGS = "--proxy.token-file or --proxy.basic-auth-file"


def _meaning(reply: Reply, errand: str, uplink: Uplink) -> str | None:
    """
    @return: what to make of this status, if there is more to it than it says.
    """
    credentials = uplink.credentials
    # Who does not say that it is ours may be of the reference, or no proxy at all.
    proxy = "the proxy" if reply.version else "the proxy, or a web server before it,"
    match reply.status:
        case 204:
            return "the proxy did not hold the poll"
        case 401 if credentials.authorization is None:
            return f"{proxy} wants to know who we are: see {_FLAGS}"
        case 401:
            return f"{proxy} does not know our credentials: see --{credentials.flag}"
        case 403:
            return f"{proxy} does not let us {errand} as {uplink.name}"
        case 407:
            return (
                "a web proxy on the way does not know us: HTTP_PROXY may have"
                " user:password@"
            )
        case 429:
            return (
                f"{proxy} lets us wait: it has more requests than its rate_limit, or"
                " too many wrong passwords from our address"
            )
    return None


def explained(reply: Reply, errand: str, uplink: Uplink) -> str:
    """
    What a reply means that is not what was asked for, in one line.

    @param errand: what was asked for: C{poll} or C{push}.
    @param uplink: what it came by.
    """
    credentials = uplink.credentials
    text = f"{reply.status} {credentials.hiddenIn(reply.reason)}"
    if reply.elsewhere is not None:
        # A query may hold a secret.
        elsewhere = credentials.hiddenIn(reply.elsewhere.partition("?")[0])
        return f"{text}: redirected to {elsewhere}, which may be the right URL"
    # Before it is cut short, or a part of the secret would be left.
    said = shown(credentials.hiddenIn(reply.body.decode("utf-8", "replace")))
    meaning = _meaning(reply, errand, uplink)
    if meaning is None:
        return f"{text}: {said}"
    # A proxy of ours says the same there again.
    isMore = said not in ("", reply.reason)
    return f"{text}: {meaning} ({said})" if isMore else f"{text}: {meaning}"
