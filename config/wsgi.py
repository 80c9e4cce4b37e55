import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from accounts_app.request_log import log_start  # noqa: E402  # needs what the line before has set up

log_start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's application, without the parameters of an API request's ``Content-Type``.

    Django reads the query in the charset that is named there, and where that is none of text (``charset=hex``) it fails
    before any middleware could answer in JSON. JSON is UTF-8 whatever is named.
    """
    if environ.get("PATH_INFO", "").startswith("/v2"):
        environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0]
    return django_application(environ, start_response)
