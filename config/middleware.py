"""Response headers of the whole site and of the API."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.encoding import iri_to_uri

from accounts_app.api import errors
from finta_keys import history, standby
from finta_keys.key_headers import carries_key
from finta_keys.redaction import without_secrets

API_PREFIX = "/v2"
HEALTH_PATH = "/v2/health"
JSON = "application/json"

# Pages load everything from this site, and nothing inline: an injected script does not run.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "font-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# clipboard-write is missing because the Copy button uses it.
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
    """Add the security headers to every response, including static files and Django's own errors.

    Must come before all middleware that can respond. A header that a view has set is kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if "Location" in response:
            # A redirect to the login page repeats the requested URL. That can contain a secret that
            # the user searched for.
            response["Location"] = iri_to_uri(without_secrets(response["Location"]))
        if settings.DEBUG and _has_inline_style(response):
            del response.headers["Content-Security-Policy"]
        return response


def _has_inline_style(response: HttpResponse) -> bool:
    """Return True for Django's debug pages, which the policy makes unreadable.

    Our pages have no inline styles.
    """
    return response.status_code >= 400 and not response.streaming and b"<style" in response.content


def is_api(request: HttpRequest) -> bool:
    """Return True if the request is for the API, whether or not the path exists."""
    return request.path_info == API_PREFIX or request.path_info.startswith(f"{API_PREFIX}/")


class PagesRejectKeysMiddleware:
    """Respond 403 at pages to an API key that comes with a session: it is not a signed-in person
    (rule K6)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable[..., HttpResponse], *args: object) -> None:
        """Raise ``PermissionDenied`` for a key at a view that is not one of Django REST
        framework."""
        if not hasattr(view, "cls") and carries_key(request) and request.user.is_authenticated:
            raise PermissionDenied


class RecordActorMiddleware:
    """Record changes of keys and accounts on any page as made by its user, from their address.

    In the API, the key made them. Must come after ``AuthenticationMiddleware``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_api(request):
            return self.get_response(request)
        with history.acting(request=request):
            return self.get_response(request)


class UnconfirmedChangesMiddleware:
    """Add a message if no standby has confirmed a change that the request made.

    Must come after ``MessageMiddleware``. The pages of finta_keys show one themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        standby.take_unconfirmed()  # of an earlier request of this thread
        response = self.get_response(request)
        if standby.take_unconfirmed():
            messages.warning(request, standby.sentence(), fail_silently=True)
        return response


class ApiHeadersMiddleware:
    """Turn every error below ``/v2`` into JSON and keep its responses out of caches.

    This includes errors raised by Django and by other middleware, so it must come before all
    middleware that can respond or fail. The JSON has no details, even if ``DEBUG`` is on.
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


class AnyHostForHealthMiddleware:
    """Accept any ``Host`` for ``/v2/health``, because load balancers call it by address.

    Must come before ``CommonMiddleware``, which rejects hosts that are not in ``ALLOWED_HOSTS``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == HEALTH_PATH:
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]
        return self.get_response(request)


def _make_json(response: HttpResponse) -> None:
    """Replace the body with our JSON error. The other headers stay."""
    error = errors.error_response(response.status_code)
    response.status_code = error.status_code
    response.content = error.content
    response["Content-Type"] = JSON
    response["Content-Length"] = str(len(error.content))
