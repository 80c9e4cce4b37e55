"""Sign-in, and the limit on guessing at it.

Attempts are counted for each caller and e-mail address together: for the address alone, anybody could keep its owner
out; for the caller alone, one office behind one address would be limited as if it were one person.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv6Address, ip_address
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm, UsernameField
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from limits.errors import StorageError

from accounts_app import limiter
from accounts_app.models import User
from finta_keys.names import fold

logger = logging.getLogger(__name__)

EMAIL_MAX_LENGTH = 254  # of the form, which refuses what is longer before it looks at any password


def limit_guesses(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a sign-in view check only so many passwords; answer 429 to more, without hashing any.

    An attempt is counted before the password is checked, so that a hundred sent at once are no hundred guesses, and
    whatever the view makes of it; a sign-in that succeeds starts the count anew.
    """

    @sensitive_post_parameters()
    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        seconds = _seconds_to_wait(request) if request.method == "POST" else 0
        return _too_many(request, seconds) if seconds else view(request, *args, **kwargs)

    return limited


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "There is no user with this e-mail and password. Check both, or reset the password.",
    }
    username = UsernameField(
        label="E-mail",
        max_length=EMAIL_MAX_LENGTH,
        # Not type="email": browsers rewrite what is typed there, and an address in other letters is good too.
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "email", "spellcheck": "false"}),
    )


@method_decorator(limit_guesses, name="dispatch")
class SignInView(auth.LoginView):
    template_name = "sign_in/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SetPasswordView(auth.PasswordResetConfirmView):
    """Lets the person in with the new password at once: the page of the limit says so."""

    template_name = "sign_in/password_reset_confirm.html"

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        _forget(self.request, form.user)
        return response


def _seconds_to_wait(request: HttpRequest) -> int:
    """Count an attempt to sign in. Return 0, or the seconds to wait where there were too many before it."""
    counted = _counted(request, _typed_email(request))
    try:
        return 0 if limiter.hit(*counted) else limiter.wait(*counted)
    except StorageError:
        # Guessing without limit for a while is slow, passwords being hashed with Argon2; nobody able to sign in, not
        # even to delete a key that leaked, is worse.
        logger.warning("Sign-in is not limited: RATE_LIMIT_STORAGE cannot be reached.", exc_info=True)
        return 0


def _forget(request: HttpRequest, user: User) -> None:
    try:
        limiter.forget(*_counted(request, user.email_key))
    except StorageError:
        logger.warning("Attempts to sign in are still counted: RATE_LIMIT_STORAGE cannot be reached.", exc_info=True)


@receiver(user_logged_in, dispatch_uid="accounts_app.sign_in")
def _forget_attempts(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # The signal, and not a redirect as the answer: that is what one who is signed in gets whatever is sent.
    if request is not None:
        _forget(request, user)


def _counted(request: HttpRequest, email: str) -> tuple[str, ...]:
    """Return what is counted. Hashed, so that the storage holds no addresses, and nothing of any length."""
    caller = f"{_network(request)}\n{email}".encode("utf-8", "surrogatepass")
    return settings.SIGN_IN_LIMIT, "sign-in", hashlib.sha256(caller).hexdigest()


def _typed_email(request: HttpRequest) -> str:
    """Return the address as the form and then ``get_by_natural_key()`` read it: all its spellings are one."""
    typed = UsernameField(max_length=EMAIL_MAX_LENGTH).to_python(request.POST.get("username", ""))
    return fold(str(typed)[:EMAIL_MAX_LENGTH])


def _network(request: HttpRequest) -> str:
    """Return the caller's address; of IPv6 its first half, as one caller has all addresses in the other half."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    try:
        ip = ip_address(address)
    except ValueError:  # none, behind a Unix socket
        return address
    return hex(int(ip) >> 64) if isinstance(ip, IPv6Address) and not ip.ipv4_mapped else address


def _too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    response = render(request, "429.html", {"minutes": math.ceil(seconds / 60)}, status=429)
    response["Retry-After"] = str(seconds)
    return response
