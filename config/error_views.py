"""Error pages of the site."""

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from accounts_app import unavailable
from accounts_app.api.errors import RETRY_AFTER

logger = logging.getLogger(__name__)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return 503 if the database is unavailable, otherwise 500. This is the ``handler500`` of the
    site.

    Rendered without the request, because a context processor may be the part that failed.
    """
    error = sys.exc_info()[1]
    if error is not None and unavailable.is_unavailable(error):
        unavailable.handle(error)
        page = render_to_string("500.html", {"unavailable": True})
        return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    return HttpResponse(render_to_string("500.html"), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return 403. If an undeclared TLS proxy is the cause, log what to set and show another text.

    The browser then sends an ``https://`` origin, but the request looks like plain HTTP.
    """
    is_undeclared_proxy = not request.is_secure() and request.META.get("HTTP_ORIGIN") == f"https://{request.get_host()}"
    if is_undeclared_proxy:
        logger.warning(
            "A form sent over HTTPS was rejected because the site does not know that a proxy ends TLS. "
            "Set TRUSTED_PROXY_COUNT to the number of proxies, and have the proxy set X-Forwarded-Proto."
        )
    return render(request, "403_csrf.html", {"is_undeclared_proxy": is_undeclared_proxy}, status=403)
