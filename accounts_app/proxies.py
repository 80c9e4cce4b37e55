"""Where a request comes from, with proxies of the operator in front or without.

Anybody can send ``X-Forwarded-For``: each proxy adds the address that called it at the right, and leaves what it was
sent at the left. So with N proxies in front the Nth entry from the right is the one that the outermost of them wrote,
and nothing further left is ever looked at.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

# Some proxies add the port of the caller, and put IPv6 into brackets.
_IPV6_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]+)?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+")


def client_address(request: HttpRequest) -> str:
    """Return the address of the caller, ``""`` where none is known. Raises nothing.

    It is who is connected, and with ``TRUSTED_PROXY_COUNT`` the entry that the outermost proxy wrote. Where the header
    has no such entry, or one that is no address, it is who is connected again: that is a proxy, so all these callers
    count as one, but nobody can choose what it says.
    """
    connected = str(request.META.get("REMOTE_ADDR", ""))
    count = settings.TRUSTED_PROXY_COUNT or 0
    # Several lines of this header have come together here already, with commas between them.
    entries = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if not 1 <= count <= len(entries):
        return connected
    return _address(entries[-count]) or connected


def _address(entry: str) -> str:
    """Return the address in an entry, written in the one way that it has; ``""`` where there is none."""
    entry = entry.strip()
    with_more = _IPV6_IN_BRACKETS.fullmatch(entry) or _IPV4_WITH_PORT.fullmatch(entry)
    try:
        return str(ip_address(with_more[1] if with_more else entry))
    except ValueError:
        return ""
