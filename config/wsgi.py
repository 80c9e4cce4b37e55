import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from config.request_log import log_start  # noqa: E402  # needs the apps to be loaded

log_start()

_BOUNDARY = re.compile(r"""(?:^|[;\s])(boundary=(?:"[^"]*"|[^\s;"]+))""", re.IGNORECASE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's application, with the charset removed from ``Content-Type``: everything is UTF-8.

    Django decodes the query and the form with this charset. For one that is not a text encoding,
    such as ``charset=hex``, it fails before any middleware runs.
    """
    environ["CONTENT_TYPE"] = remove_charset(environ.get("CONTENT_TYPE", ""))
    return django_application(environ, start_response)


def remove_charset(content_type: str) -> str:
    media_type, _, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(parameters)
    return f"{media_type}; {boundary[1]}" if boundary else media_type
