"""The error responses: ``{"error": {"code": "…", "message": "…"}}``.

Only a 401 differs: ``{"error": "Missing or invalid Authorization header"}``. The message is
constant for each code, except for a 400, which names the field.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as ModelError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.response import Response

from accounts_app import unavailable
from finta_keys.read_only import ReadOnlyKey

logger = logging.getLogger(__name__)

UNAUTHORIZED = "Missing or invalid Authorization header"
RETRY_AFTER = 5  # seconds, in a 503

STORAGE_MODE_REQUIRED = "STORAGE_MODE_REQUIRED"
READ_ONLY_KEY = "READ_ONLY_KEY"
CODES = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}
MESSAGES = {
    400: "The request is malformed or incomplete.",
    404: "Not found, or not in the scope of this key.",
    405: "This method is not allowed. The Allow header lists the allowed methods.",
    413: "The body is larger than 64 kB.",
    415: "Send the body as application/json.",
    429: "Too many requests. Wait for the number of seconds in the Retry-After header.",
    500: "Something went wrong on our side.",
    503: "The service is temporarily unavailable. Try again in a few seconds.",
}
# A 403 has one of these codes.
FORBIDDEN = {
    STORAGE_MODE_REQUIRED: "Storage Mode is off. The owner of this key can switch it on in Data settings.",
    READ_ONLY_KEY: "This key is read only. Its owner can change that in API settings, with Edit scope.",
}


class PayloadTooLarge(exceptions.ParseError):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class StorageModeRequired(exceptions.APIException):
    status_code = status.HTTP_403_FORBIDDEN


def all_codes() -> list[str]:
    """Return every code of an error response."""
    return sorted([*CODES.values(), *FORBIDDEN])


def error_body(status_code: int, message: str = "") -> dict[str, Any]:
    """Return the JSON of an error response. A 403 is made by ``forbidden_body()``."""
    if status_code == 401:
        return {"error": UNAUTHORIZED}
    return {"error": {"code": CODES[status_code], "message": message or MESSAGES[status_code]}}


def forbidden_body(error: Exception) -> dict[str, Any]:
    """Return the JSON of a 403."""
    code = READ_ONLY_KEY if isinstance(error, ReadOnlyKey) else STORAGE_MODE_REQUIRED
    return {"error": {"code": code, "message": FORBIDDEN[code]}}


def error_response(status_code: int) -> JsonResponse:
    """Return an error response for requests that Django rejects before a view runs."""
    status_code = status_code if status_code in CODES else 500 if status_code >= 500 else 400
    return JsonResponse(error_body(status_code), status=status_code)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. It returns JSON without details for every exception."""
    status_code = _status(error)
    if unavailable.is_unavailable(error):
        unavailable.handle(error)
    elif status_code >= 500:
        _log(error, context["request"])
    message = _first_message(error) if status_code == 400 else ""
    headers = _headers(error, status_code)
    if status_code == 405:
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    body = forbidden_body(error) if status_code == 403 else error_body(status_code, message)
    return Response(body, status=status_code, headers=headers)


def _status(error: Exception) -> int:
    if isinstance(error, exceptions.APIException):
        return error.status_code if error.status_code in {*MESSAGES, 401, 403} else 500
    if isinstance(error, Http404):
        return 404
    if isinstance(error, ModelError | SuspiciousOperation | UnreadablePostError):
        return 400
    return 503 if unavailable.is_unavailable(error) else 500


def _headers(error: Exception, status_code: int) -> dict[str, str]:
    if status_code == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, exceptions.Throttled):
        return {"Retry-After": str(error.wait)}  # type: ignore[attr-defined]  # the stubs lack it
    return {"Retry-After": str(RETRY_AFTER)} if status_code == 503 else {}


def _first_message(error: Any) -> str:
    """Return a sentence for a client error, with the name of its field."""
    if isinstance(error, ModelError):
        return str(error.messages[0])
    if not isinstance(error, exceptions.APIException):  # Django's messages mention settings.
        return ""
    detail, path = error.detail, []
    while isinstance(detail, dict | list):
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()))
            path.append(str(name))
        else:
            detail = detail[0]
    field = ".".join(name for name in path if name != "non_field_errors")
    message = f"{field}: {detail}" if field else str(detail)
    # Clients can send field names with halves of surrogate pairs, which cannot be encoded as UTF-8.
    return message.encode("utf-8", "replace").decode()


def _log(error: Exception, request: HttpRequest) -> None:
    # %r, because a line break in the path must not start a new log line.
    logger.error("%s %r failed", request.method, request.path, exc_info=error)
