"""Parts of the OpenAPI document that drf-spectacular cannot derive: errors and rejected fields."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse

from accounts_app.api import errors
from accounts_app.api.serializers import ErrorResponse, UnauthorizedResponse

WITH_KEY = (401, 403, 405, 429, 500, 503)
WITH_BODY = (400, 413, 415)

ACCOUNT_ID = OpenApiParameter("accountId", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)


def responses(success: dict[int, Any], *error_statuses: int) -> dict[Any, Any]:
    """Return the responses of an endpoint that requires a key, errors included."""
    return {**success, **{status: error_response(status) for status in sorted({*WITH_KEY, *error_statuses})}}


def error_response(status_code: int) -> OpenApiResponse:
    if status_code == 401:
        return OpenApiResponse(UnauthorizedResponse, "No API key, or an invalid one.")
    if status_code == 403:
        return OpenApiResponse(ErrorResponse, " or ".join(f"`{code}`" for code in errors.FORBIDDEN))
    return OpenApiResponse(ErrorResponse, f"`{errors.error_body(status_code)['error']['code']}`")


class AccountInputExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its base registers untyped
    """Unknown fields, blank names and empty changes are rejected."""

    target_class = "accounts_app.api.serializers.AccountInputSerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]  # it ships none
        for name in ("name", "type"):
            schema["properties"][name] |= {"minLength": 1, "pattern": r"\S"}
        minimum = {"minProperties": 1} if self.target.partial else {}
        return {**schema, "additionalProperties": False, **minimum}
