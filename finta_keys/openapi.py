"""The security scheme for drf-spectacular, if it is installed."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from finta_keys import conf, secret


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its base registers untyped
    target_class = "finta_keys.authentication.ApiKeyAuthentication"
    match_subclasses = True
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        pattern = secret.pattern(conf.prefix())
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": f"{conf.prefix()}…",
            "description": f"The secret of an API key, as shown once in API settings. Pattern: `^{pattern}$`.",
        }
