import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from config.request_log import log_start  # noqa: E402  # needs what the line before has set up

log_start()

_BOUNDARY = re.compile(r"""(?:^|[;\s])(boundary=(?:"[^"]*"|[^\s;"]+))""", re.IGNORECASE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's application, without the parameters of the ``Content-Type``, but for the boundary of a form's parts.

    Django reads query and form in the charset that is named there, and where that is none of text (``charset=hex``) it
    fails before any middleware could answer. All here is UTF-8 whatever is named.
    """
    environ["CONTENT_TYPE"] = _without_charset(environ.get("CONTENT_TYPE", ""))
    return django_application(environ, start_response)


def _without_charset(content_type: str) -> str:
    kind, _, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(parameters)
    return f"{kind}; {boundary[1]}" if boundary else kind
