"""The network and the kind of program that a request comes from."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from finta_keys import conf

UNKNOWN = "unknown"  # a Unix socket, or not an IP address
NONE = "none"  # no User-Agent header
OTHER = "other"  # has no name, or exceeds the limits of ``usage_store``

ADDRESS_LENGTH = 64  # characters; the longest address has 45, and IPv6 may name an interface
AGENT_LENGTH = 512  # characters that are read of a User-Agent header
# The first product. A longer name is hardly that of a program, and could be a secret.
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,39})(?:[/ (;]|$)", re.ASCII)
# Browsers call themselves Mozilla. Most also name the browsers that they resemble, so the order
# matters.
_BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}

logger = logging.getLogger(__name__)


def source_of(request: Any) -> tuple[str, str]:
    """Return the network and the user-agent family of one of Django's requests. Never raises."""
    agent = str(request.META.get("HTTP_USER_AGENT", ""))
    return network(address_of(request)), agent_family(agent[:AGENT_LENGTH])


def address_of(request: Any) -> str:
    """Return the address of the client in its canonical form, or "" if it is not known. Never
    raises."""
    try:
        return _canonical(str(conf.client_address()(request))[:ADDRESS_LENGTH])
    except Exception:  # The request is more important, such as the rotation of a leaked key.
        logger.exception("FINTA_KEYS_CLIENT_ADDRESS raised an error, so the address of a client is unknown.")
        return ""


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:  # a Unix socket
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


@lru_cache(maxsize=1024)
def network(address: str) -> str:
    """Return the /24 network of an IPv4 address, or the /48 network of an IPv6 address."""
    if not address:
        return UNKNOWN
    return str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))


@lru_cache(maxsize=1024)
def agent_family(header: str) -> str:
    """Return the name of a program without its version, such as ``"curl"`` or ``"Firefox"``."""
    if not header:
        return NONE
    match = _PRODUCT.match(header)
    if match is None or conf.prefix() in match[1]:
        return OTHER
    if match[1] == "Mozilla":
        return next((name for mark, name in _BROWSERS.items() if mark in header), match[1])
    return match[1]
