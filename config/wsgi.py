import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from config.charset import remove_charset  # noqa: E402
from config.chunked import read_chunked_body  # noqa: E402
from config.database_timeouts import limit_statements  # noqa: E402
from config.request_log import log_start  # noqa: E402  # needs the apps to be loaded

limit_statements()
log_start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["CONTENT_TYPE"] = remove_charset(environ.get("CONTENT_TYPE", ""))
    read_chunked_body(environ)
    return django_application(environ, start_response)
