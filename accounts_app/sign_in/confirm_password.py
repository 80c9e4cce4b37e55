"""Ask for the password again before a page shows a secret, if it was entered a while ago.

An open session lets a visitor read the list of keys and delete keys, but not take a secret.

The confirmation page replaces the requested page at the same address, so there is no redirect
target to forge. Its form carries the fields that were submitted, and the request continues once
the password is correct. The server stores none of them.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib.auth import HASH_SESSION_KEY, authenticate
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import ResolverMatch
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app.models import User
from accounts_app.sign_in.limits import limit_attempts

MAX_AGE = timedelta(minutes=30)
SESSION_KEY = "accounts_app.password_given_at"  # a timestamp in seconds
PASSWORD_FIELD = "confirm_password"  # noqa: S105  # No other form has a field with this name.
ACTIONS = {  # by the suffix of the URL's name
    "create": "create a key",
    "add": "create a key",
    "duplicate": "duplicate a key",
    "edit_scope": "edit the scope of a key",
    "rotate": "rotate a key",
}
NOT_CARRIED = ("csrfmiddlewaretoken", "username", PASSWORD_FIELD)


class ConfirmPasswordForm(forms.Form):
    """Checks the password of the signed-in user. Any submitted user name is ignored."""

    confirm_password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
        error_messages={"required": "Enter your password."},
    )

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self.request = request

    def clean(self) -> None:
        user, password = cast(User, self.request.user), self.cleaned_data.get(PASSWORD_FIELD)
        if not password:
            return
        self.user = authenticate(self.request, username=user.email, password=password)
        if self.user != user:
            self.add_error(PASSWORD_FIELD, "Wrong password. Try again, or reset it.")


@sensitive_post_parameters()
def require_recent_password(request: HttpRequest) -> HttpResponse | None:
    """Return None if the password was entered within ``MAX_AGE``, else a page that asks for it.

    Used as ``FINTA_KEYS_FRESH_SIGN_IN``; the user is signed in. The form posts to the same address.
    """
    if is_recent(request):
        return None
    if not cast(User, request.user).has_usable_password():
        return _render_page(request)
    if PASSWORD_FIELD not in request.POST:
        return _render_form(request, ConfirmPasswordForm(request))
    response = cast(HttpResponse, _check_password(_with_own_email(request)))
    return None if is_recent(request) and _carried_fields(request) else response


def is_recent(request: HttpRequest) -> bool:
    """Return True if the password was entered within ``MAX_AGE``.

    A time in the future, set by a wrong clock, does not count.
    """
    age = timezone.now().timestamp() - request.session.get(SESSION_KEY, 0)
    return bool(0 <= age < MAX_AGE.total_seconds())


@receiver(user_logged_in, dispatch_uid="accounts_app.sign_in.confirm_password")
def _save_time(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is not None:
        request.session[SESSION_KEY] = timezone.now().timestamp()


def _with_own_email(request: HttpRequest) -> HttpRequest:
    """Return a copy of the request that submits the signed-in user's e-mail as the user name.

    The limit counts by it, so attempts here and on the sign-in page share one count.
    """
    request_copy = copy.copy(request)
    fields = request.POST.copy()
    fields["username"] = cast(User, request.user).email
    request_copy.POST = fields  # type: ignore[assignment]  # mutable, but never changed
    return request_copy


@limit_attempts
def _check_password(request: HttpRequest) -> HttpResponse:
    form = ConfirmPasswordForm(request, request.POST)
    if not form.is_valid():
        return _render_form(request, form)
    _save_time(request)
    # A stolen copy of the cookie must not gain the confirmation.
    request.session.cycle_key()
    # authenticate() may have upgraded the password's hash, which would end this session.
    request.session[HASH_SESSION_KEY] = cast(User, form.user).get_session_auth_hash()
    return HttpResponseRedirect(request.get_full_path())


def _render_form(request: HttpRequest, form: ConfirmPasswordForm) -> HttpResponse:
    return _render_page(request, form=form, carried=_carried_fields(request))


def _carried_fields(request: HttpRequest) -> list[tuple[str, Any]]:
    """Return the fields that were submitted to the requested page. Empty for a GET."""
    fields = request.POST.lists()
    return [(name, value) for name, values in fields if name not in NOT_CARRIED for value in values]


def _render_page(request: HttpRequest, **context: Any) -> HttpResponse:
    match = request.resolver_match
    cancel = "admin:index" if match and match.app_name == "admin" else "finta_keys:list"
    context |= {"cancel": cancel, "minutes": MAX_AGE // timedelta(minutes=1), "action": _action(match)}
    return render(request, "sign_in/confirm_password.html", context)


def _action(match: ResolverMatch | None) -> str:
    """Return the requested action in words. The names of the admin's URLs end like ours."""
    name = (match and match.url_name) or ""
    return next((text for ending, text in ACTIONS.items() if name.endswith(ending)), "continue")
