from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.encoding import iri_to_uri

from accounts_app.api import errors
from finta_keys.leaks import without_secrets

API_PREFIX = "/v2"
JSON = "application/json"


# What a page may load and do: what is from here. Nothing inline: a script that gets into a page is dead text.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Not clipboard-write, which Copy needs.
UNUSED_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in UNUSED_FEATURES),
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeadersMiddleware:
    """What every answer has, whoever gives it: views, the admin, the API, static files, Django's own errors.

    Before all in the list that may answer, so that all answers pass it. Django's own two for further headers come right
    after.
    A header that a view has set stays as it is.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if "Location" in response:
            # The way to sign-in carries the address that was asked for, and somebody may have searched for a secret.
            response["Location"] = iri_to_uri(without_secrets(response["Location"]))
        if settings.DEBUG and _brings_its_own_style(response):
            del response.headers["Content-Security-Policy"]
        return response


def _brings_its_own_style(response: HttpResponse) -> bool:
    """Tell Django's error pages for developers, unreadable under the policy, from our own, which never have any."""
    return response.status_code >= 400 and not response.streaming and b"<style" in response.content


def is_api(request: HttpRequest) -> bool:
    """Tell whether a request is for the API, whatever becomes of it."""
    return request.path_info == API_PREFIX or request.path_info.startswith(f"{API_PREFIX}/")


class ApiHeadersMiddleware:
    """What every answer below ``/v2`` has, those of Django itself and of other middleware included.

    It depends on the key and belongs to nobody else, so no cache may keep it; and errors are JSON, without details
    even where ``DEBUG`` is on. Before all in the list that may answer or fail, so that all answers pass it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if is_api(request):
            if response.status_code >= 400 and response.get("Content-Type") != JSON:
                _make_json(response)
            patch_vary_headers(response, ["Authorization"])
            response["Cache-Control"] = "private, no-store"
        return response


def _make_json(response: HttpResponse) -> None:
    """Put our error in the place of a page, and leave the other headers as they are."""
    answer = errors.plain_response(response.status_code)
    response.status_code = answer.status_code
    response.content = answer.content
    response["Content-Type"] = JSON
    response["Content-Length"] = str(len(answer.content))
