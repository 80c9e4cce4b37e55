"""Limits on guessing passwords and on sending password reset e-mails.

Attempts are counted per source and e-mail address together. A limit per address alone would let
anyone lock its owner out. Failed attempts are also counted per source, with a much higher limit
because an office can share one address: that stops trying one password at many addresses.

A source is the client's address (``client_address``). The API does not use these limits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app import limiter
from accounts_app.models import User
from accounts_app.sign_in.client_address import client_address
from accounts_app.sign_in.forms import EMAIL_MAX_LENGTH
from finta_keys.names import fold


def limit_attempts(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Limit the passwords that a sign-in view checks. Over the limit, return 429 without hashing.

    Each attempt is counted before the view runs, so parallel requests are limited too. A successful
    sign-in clears the count.
    """

    @sensitive_post_parameters()
    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rejection = reject_attempt(request, _submitted_email(request)) if request.method == "POST" else None
        return rejection or view(request, *args, **kwargs)

    return limited


def reject_attempt(request: HttpRequest, email: str) -> HttpResponse | None:
    """Count an attempt at the password of ``email``.

    Return a 429 page if there were too many, else None.
    """
    failures, attempts = _failures_of_source(request), _attempts(request, email)
    try:
        # A failure is counted after it happened: a successful sign-in could not be subtracted, and
        # must not clear the count, or an attacker could clear it with an account of their own. So
        # parallel requests can exceed this limit a little. They cannot exceed the one per account.
        if not limiter.has_room(*failures):
            return _too_many(request, limiter.retry_after(*failures), "429.html", is_source_limit=True)
        if not limiter.hit(*attempts):
            return _too_many(request, limiter.retry_after(*attempts), "429.html")
    except limiter.Unreachable:
        # Argon2 keeps guessing slow for a while. Rejecting everyone would be worse: no one could
        # sign in to delete a leaked key.
        limiter.log_unreachable("Sign-in is not limited")
    return None


def reject_reset_email(request: HttpRequest, email: str) -> HttpResponse | None:
    """Count a password reset e-mail to ``email``.

    Return a 429 page if there were too many, else None.
    """
    limits = _reset_emails_of_source(request), _reset_emails(email)
    try:
        # Checks both before counting, so that a request that one limit rejects does not use up the
        # other.
        for check in (limiter.has_room, limiter.hit):
            for limit in limits:
                if not check(*limit):
                    return _too_many(request, limiter.retry_after(*limit), "sign_in/password_reset_too_many.html")
    except limiter.Unreachable:
        limiter.log_unreachable("Mails to reset passwords are not limited")
    return None


def clear_attempts(request: HttpRequest, user: User) -> None:
    """Clear the counts of a user who has signed in or set a password. Both end their reset
    links."""
    try:
        limiter.clear(*_attempts(request, user.email_key))
        limiter.clear(*_reset_emails(user.email_key))
    except limiter.Unreachable:
        limiter.log_unreachable("Attempts to sign in are still counted")


@receiver(user_login_failed, dispatch_uid="accounts_app.sign_in.count_failure")
def _count_failure(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is None:  # authenticate() was called by a command or a test.
        return
    try:
        limiter.hit(*_failures_of_source(request))
    except limiter.Unreachable:
        limiter.log_unreachable("Failed sign-ins are not counted")


@receiver(user_logged_in, dispatch_uid="accounts_app.sign_in.clear_attempts")
def _clear_attempts(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # A redirect does not prove success: the view also redirects users who are already signed in.
    if request is not None:
        clear_attempts(request, user)


# The limits: the rates, then what identifies the count


def _attempts(request: HttpRequest, email: str) -> tuple[str, ...]:
    return settings.SIGN_IN_LIMIT, "sign-in", _hash(f"{_source(request)}\n{email}")


def _failures_of_source(request: HttpRequest) -> tuple[str, ...]:
    return settings.SIGN_IN_SOURCE_LIMIT, "sign-in-source", _hash(_source(request))


def _reset_emails(email: str) -> tuple[str, ...]:
    return settings.PASSWORD_RESET_LIMIT, "password-reset", _hash(email)


def _reset_emails_of_source(request: HttpRequest) -> tuple[str, ...]:
    return settings.PASSWORD_RESET_SOURCE_LIMIT, "password-reset-source", _hash(_source(request))


def _hash(text: str) -> str:
    """Hash a value for the storage, which then holds no addresses and no long strings."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _submitted_email(request: HttpRequest) -> str:
    """Return the submitted e-mail as ``get_by_natural_key()`` compares it, for any spelling."""
    text = UsernameField(max_length=EMAIL_MAX_LENGTH).to_python(request.POST.get("username", ""))
    return fold(str(text)[:EMAIL_MAX_LENGTH])


def _source(request: HttpRequest) -> str:
    """Return the client's address.

    For IPv6 return its first half: one client controls all of the second half.
    """
    address = client_address(request)
    try:
        ip = ip_address(address)
    except ValueError:  # behind a Unix socket
        return address
    return hex(int(ip) >> 64) if isinstance(ip, IPv6Address) and not ip.ipv4_mapped else address


def _too_many(request: HttpRequest, seconds: int, template: str, **context: Any) -> HttpResponse:
    response = render(request, template, {"wait": _duration(seconds), **context}, status=429)
    response["Retry-After"] = str(seconds)
    return response


def _duration(seconds: int) -> str:
    number, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{number} {unit}{'s' if number > 1 else ''}"
