"""The libraries and classes that are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Design:
    """A library or class that authenticates. ``package`` is its name on PyPI, ``apps`` its Django apps."""

    name: str
    label: str
    note: str = ""
    package: str = ""
    apps: tuple[str, ...] = ()
    data: str = ""  # the name of the design whose database it uses, if not its own


DESIGNS = {
    design.name: design
    for design in (
        Design("floor", "no authentication (the floor)"),
        Design("finta", "finta_keys"),
        Design(
            "handler",
            "finta_keys, lookup in the handler",
            "`self.get_queryset().get(pk=pk)` instead of `get_object()`",
            data="finta",
        ),
        Design(
            "token",
            "DRF TokenAuthentication",
            "the secret is stored in plain text; one token per user",
            "djangorestframework",
            ("rest_framework.authtoken",),
        ),
        Design(
            "apikey",
            "djangorestframework-api-key",
            "a permission, without a user",
            "djangorestframework-api-key",
            ("rest_framework_api_key",),
        ),
        Design("knox", "django-rest-knox", "reads all tokens of the owner per request", "django-rest-knox", ("knox",)),
        Design(
            "simple",
            "drf-simple-apikey",
            "sleeps 10 ms on purpose, which costs time but no instructions",
            "drf-simple-apikey",
            ("drf_simple_apikey",),
        ),
        Design(
            "tenant",
            "django-tenant-apikeys",
            "a tenant, without a user",
            "django-tenant-apikeys",
            ("benchmarks.tenants",),
        ),
        Design(
            "ninja", "django-ninja, no authentication", "the floor of Wagtail's tokens", "django-ninja", data="floor"
        ),
        Design(
            "wagtail",
            "Wagtail's API tokens",
            "for django-ninja",
            "wagtail",
            ("wagtail", "taggit", "wagtail.api.v3"),
        ),
        Design("raises", "DRF, authentication that only raises", "the least for a rejected request", data="floor"),
    )
}
