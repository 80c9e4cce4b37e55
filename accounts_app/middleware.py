from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from accounts_app.api import errors

API_PREFIX = "/v2"
JSON = "application/json"


def is_api(request: HttpRequest) -> bool:
    """Tell whether a request is for the API, whatever becomes of it."""
    return request.path_info == API_PREFIX or request.path_info.startswith(f"{API_PREFIX}/")


class ApiHeadersMiddleware:
    """What every answer below ``/v2`` has, those of Django itself and of other middleware included.

    It depends on the key and belongs to nobody else, so no cache may keep it; and errors are JSON, without details
    even where ``DEBUG`` is on. First in the list, so that all answers pass it.
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
