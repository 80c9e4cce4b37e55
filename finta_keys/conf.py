"""The settings of this app. They are read when they are used; the system checks reject bad
values."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar, cast

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from finta_keys import secret

SETTINGS = (
    "FINTA_KEYS_PEPPERS",
    "FINTA_KEYS_ACCOUNT_MODEL",
    "FINTA_KEYS_OWNER_FIELD",
    "FINTA_KEYS_ACCOUNT_LABEL",
    "FINTA_KEYS_ACCOUNT_GROUP",
    "FINTA_KEYS_ACCOUNT_WORDS",
    "FINTA_KEYS_PREFIX",
    "FINTA_KEYS_EXTRA_HEADER",
    "FINTA_KEYS_SHARED_MODELS",
    "FINTA_KEYS_OWNER_PATHS",
    "FINTA_KEYS_BASE_TEMPLATE",
    "FINTA_KEYS_LAST_USED_INTERVAL",
    "FINTA_KEYS_MAX_AGE",
    "FINTA_KEYS_FRESH_SIGN_IN",
    "FINTA_KEYS_STANDBY_TIMEOUT",
    "FINTA_KEYS_CLIENT_ADDRESS",
    "FINTA_KEYS_HISTORY_DAYS",
    "FINTA_KEYS_RETIRED_SECRET_DAYS",
)
TWO_YEARS = 730  # days
PEPPER_LENGTH = 32  # bytes, which are 64 hex digits

Function = TypeVar("Function", bound=Callable[..., Any])


def cached(function: Function) -> Function:
    """Cache the results of a function that reads settings, until a test changes a setting."""
    wrapper = lru_cache(maxsize=256)(function)
    setting_changed.connect(lambda **kwargs: wrapper.cache_clear(), weak=False)
    return cast(Function, wrapper)


def peppers() -> tuple[bytes, ...]:
    """Return ``FINTA_KEYS_PEPPERS``, decoded from 64 hex digits each. The first pepper creates new
    digests.

    Raise ``ImproperlyConfigured`` if there is none, or if one has another form.
    """
    return _decoded(tuple(getattr(settings, "FINTA_KEYS_PEPPERS", None) or ()))


@lru_cache(maxsize=8)
def _decoded(configured: tuple[str, ...]) -> tuple[bytes, ...]:
    try:
        decoded = tuple(secret.HiddenBytes.fromhex(pepper) for pepper in configured)
    except (TypeError, ValueError):
        decoded = ()  # Raised below without this error, whose message quotes the pepper.
    if not decoded or any(len(pepper) != PEPPER_LENGTH for pepper in decoded):
        raise ImproperlyConfigured(
            "FINTA_KEYS_PEPPERS must be a list of peppers of 64 hex digits each. "
            "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return decoded


@cached  # read on every request, and an unset setting is slow
def prefix() -> str:
    """Return the prefix of secrets, such as ``"shop_"``: ``FINTA_KEYS_PREFIX``."""
    return str(getattr(settings, "FINTA_KEYS_PREFIX", secret.PREFIX))


@cached
def extra_header() -> str:
    """Return the name in ``request.META`` of a second header that may present a secret, or an empty
    string.

    ``FINTA_KEYS_EXTRA_HEADER`` names it as HTTP does, such as ``"X-API-Key"``.
    """
    _, *names = secret_header_names()
    return f"HTTP_{names[0].upper().replace('-', '_')}" if names else ""


@cached
def secret_header_names() -> tuple[str, ...]:
    """Return the names of the headers that may present a secret, such as ``("Authorization",
    "X-API-Key")``."""
    extra_name = getattr(settings, "FINTA_KEYS_EXTRA_HEADER", None)
    return ("Authorization", str(extra_name)) if extra_name else ("Authorization",)


def shared_models() -> frozenset[str]:
    """Return the labels, in lower case, of the models whose rows all users may name:
    ``FINTA_KEYS_SHARED_MODELS``."""
    return frozenset(label.lower() for label in getattr(settings, "FINTA_KEYS_SHARED_MODELS", ()))


def owner_paths() -> dict[str, str]:
    """Return the foreign keys to the owner by the label of their model, in lower case:
    ``FINTA_KEYS_OWNER_PATHS``."""
    return {label.lower(): path for label, path in getattr(settings, "FINTA_KEYS_OWNER_PATHS", {}).items()}


@cached
def last_used_interval() -> timedelta:
    """Return the minimum interval between updates of ``last_used_at``:
    ``FINTA_KEYS_LAST_USED_INTERVAL``."""
    return timedelta(seconds=last_used_seconds())


def last_used_seconds() -> Any:
    """Return ``FINTA_KEYS_LAST_USED_INTERVAL`` as it is configured, in seconds, or its default."""
    return getattr(settings, "FINTA_KEYS_LAST_USED_INTERVAL", 60)


def max_age() -> timedelta | None:
    """Return how long keys may be valid at most, or None for no limit: ``FINTA_KEYS_MAX_AGE``,
    in days."""
    days = getattr(settings, "FINTA_KEYS_MAX_AGE", None)
    return None if days is None else timedelta(days=days)


def history_days() -> int | None:
    """Return how many days events and counts of use are kept, or None for ever:
    ``FINTA_KEYS_HISTORY_DAYS``."""
    return getattr(settings, "FINTA_KEYS_HISTORY_DAYS", TWO_YEARS)


def retired_secret_days() -> int | None:
    """Return how many days retired secrets are kept, or None for ever:
    ``FINTA_KEYS_RETIRED_SECRET_DAYS``."""
    return getattr(settings, "FINTA_KEYS_RETIRED_SECRET_DAYS", TWO_YEARS)


def standby_timeout() -> Any:
    """Return how many seconds a change of a key waits for a standby at most, or None to wait for
    none: ``FINTA_KEYS_STANDBY_TIMEOUT``."""
    return getattr(settings, "FINTA_KEYS_STANDBY_TIMEOUT", None)


def account_label() -> str:
    """Return the label of the account model, such as ``"shops.Shop"``:
    ``FINTA_KEYS_ACCOUNT_MODEL``.

    Raise ``ImproperlyConfigured`` if the setting is missing or is not a label.
    """
    label = getattr(settings, "FINTA_KEYS_ACCOUNT_MODEL", None)
    if isinstance(label, str) and label.count(".") == 1:
        return label
    value = repr(label) if hasattr(settings, "FINTA_KEYS_ACCOUNT_MODEL") else "not set"
    raise ImproperlyConfigured(
        f"FINTA_KEYS_ACCOUNT_MODEL is {value}. Set it to the app label and the name of the model that keys are "
        'limited to, such as "shops.Shop".'
    )


def account_model() -> type[models.Model]:
    """Return the account model. Raise ``ImproperlyConfigured`` if there is no such model."""
    label = account_label()
    try:
        return apps.get_model(label)
    except LookupError:
        raise ImproperlyConfigured(
            f"FINTA_KEYS_ACCOUNT_MODEL is {label!r}, but no installed app has this model. "
            'Set it to the label of a model, such as "shops.Shop".'
        ) from None


def owner_field() -> str:
    """Return the name of the account model's foreign key to the owner:
    ``FINTA_KEYS_OWNER_FIELD``."""
    return str(getattr(settings, "FINTA_KEYS_OWNER_FIELD", "owner"))


def account_group_attribute() -> str:
    """Return the account's attribute that pages group by, such as ``"institution_name"``:
    ``FINTA_KEYS_ACCOUNT_GROUP``.

    Empty if accounts are not grouped.
    """
    return str(getattr(settings, "FINTA_KEYS_ACCOUNT_GROUP", ""))


def account_label_attribute() -> str:
    """Return the account's attribute that pages show as its name: ``FINTA_KEYS_ACCOUNT_LABEL``.
    Empty for ``str()``."""
    return str(getattr(settings, "FINTA_KEYS_ACCOUNT_LABEL", ""))


def account_words() -> tuple[str, str]:
    """Return the words for one account and for several, such as ``("store", "stores")``:
    ``FINTA_KEYS_ACCOUNT_WORDS``.

    The default is the verbose names of the account model.
    """
    options = account_model()._meta
    singular, plural = getattr(settings, "FINTA_KEYS_ACCOUNT_WORDS", None) or (
        options.verbose_name,
        options.verbose_name_plural,
    )
    return str(singular), str(plural)


def base_template() -> str:
    """Return the template that all pages extend: ``FINTA_KEYS_BASE_TEMPLATE``. It has the blocks
    ``title`` and ``content``."""
    return str(getattr(settings, "FINTA_KEYS_BASE_TEMPLATE", "finta_keys/base.html"))


def fresh_sign_in() -> Callable[[HttpRequest], HttpResponse | None] | None:
    """Return the function at the dotted path ``FINTA_KEYS_FRESH_SIGN_IN``, or None if the setting
    is not set.

    It is called before a page that shows a secret is displayed or submitted, with the request of a
    signed-in user. It returns None to continue, or a response, such as a page that asks for the
    password.

    Raise ``ImportError`` if the path does not exist.
    """
    path = str(getattr(settings, "FINTA_KEYS_FRESH_SIGN_IN", None) or "")
    return cast(Callable[[HttpRequest], HttpResponse | None], import_string(path)) if path else None


@cached
def client_address() -> Callable[[HttpRequest], str]:
    """Return the function at the dotted path ``FINTA_KEYS_CLIENT_ADDRESS``, which returns the
    address of the client that sent a request.

    The default returns that of the connection, because this app does not know the proxies of a
    project. Raise ``ImportError`` if the path does not exist.
    """
    path = str(getattr(settings, "FINTA_KEYS_CLIENT_ADDRESS", None) or "")
    return cast(Callable[[HttpRequest], str], import_string(path)) if path else _connection_address


def _connection_address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))
