"""Find the address of the client, behind proxies too.

Clients can send any ``X-Forwarded-For``. Each proxy appends the address of its caller at the right
and keeps the rest. With N trusted proxies, the Nth entry from the right was written by the
outermost of them; entries further left cannot be trusted and are ignored.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

# Some proxies append the port, and write IPv6 addresses in brackets.
_IPV6_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]+)?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+")


def client_address(request: HttpRequest) -> str:
    """Return the client's address, or ``""`` if it is unknown. Never raises.

    Without ``TRUSTED_PROXY_COUNT`` this is the address of the connection. With it, this is the
    entry that the outermost trusted proxy wrote. If that entry is missing or not an address, return
    the address of the connection: all such clients then count as one, but none can choose its
    address.
    """
    connection_address = str(request.META.get("REMOTE_ADDR", ""))
    proxy_count = settings.TRUSTED_PROXY_COUNT or 0
    # The server has already joined repeated headers with commas.
    entries = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if not 1 <= proxy_count <= len(entries):
        return connection_address
    return _parse_address(entries[-proxy_count]) or connection_address


def _parse_address(entry: str) -> str:
    """Return the address of an entry in its canonical form, or ``""`` if it has none."""
    entry = entry.strip()
    match = _IPV6_IN_BRACKETS.fullmatch(entry) or _IPV4_WITH_PORT.fullmatch(entry)
    try:
        return str(ip_address(match[1] if match else entry))
    except ValueError:
        return ""
