"""Ignore the charset of a request: everything is UTF-8."""

import re

_BOUNDARY = re.compile(r"""(?:^|[;\s])(boundary=(?:"[^"]*"|[^\s;"]+))""", re.IGNORECASE)


def remove_charset(content_type: str) -> str:
    """Return a ``Content-Type`` without its parameters, except for the boundary of a multipart
    form.

    Django decodes the query and the form with the charset. For one that is not a text encoding,
    such as ``charset=hex``, it fails before any middleware runs.
    """
    media_type, _, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(parameters)
    return f"{media_type}; {boundary[1]}" if boundary else media_type
