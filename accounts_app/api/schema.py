"""What the OpenAPI document says of errors and of refused fields, which drf-spectacular cannot see."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse

from accounts_app.api import errors
from accounts_app.api.serializers import ErrorAnswer, UnauthorizedAnswer

WITH_KEY = (401, 403, 405, 429, 500, 503)
WITH_BODY = (400, 413, 415)

ACCOUNT_ID = OpenApiParameter("accountId", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)


def answers(success: dict[int, Any], *more: int) -> dict[Any, Any]:
    """Return all answers of an endpoint that is called with a key: the good ones, and the errors."""
    return {**success, **{code: error_answer(code) for code in sorted({*WITH_KEY, *more})}}


def error_answer(status_code: int) -> OpenApiResponse:
    if status_code == 401:
        return OpenApiResponse(UnauthorizedAnswer, "No key, or one that is not good (any more).")
    return OpenApiResponse(ErrorAnswer, f"`{errors.body(status_code)['error']['code']}`")


class AccountInSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its base registers untyped
    """Unknown fields are refused, and so are a blank name and a change of nothing."""

    target_class = "accounts_app.api.serializers.AccountIn"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]  # it ships none
        for name in ("name", "type"):
            schema["properties"][name] |= {"minLength": 1, "pattern": r"\S"}
        least = {"minProperties": 1} if self.target.partial else {}
        return {**schema, "additionalProperties": False, **least}
