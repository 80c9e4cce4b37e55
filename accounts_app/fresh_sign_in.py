"""The password once more before a secret is shown, where it was last given a while ago.

A session that was left open is enough to read the list of keys and to delete one, and not enough to take one away.

The question takes the place of the page that was asked for, at its address: there is no way back that could be forged.
What was typed before is carried in its form, and goes on as soon as the password is right; nothing of it is kept on the
server.
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
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app.models import User
from accounts_app.sign_in import limit_guesses

FRESH = timedelta(minutes=30)
GIVEN_AT = "accounts_app.password_given_at"  # in the session, in seconds
PASSWORD = "confirm_password"  # noqa: S105  # the name of the field, which no form that is carried has
NOT_CARRIED = ("csrfmiddlewaretoken", "username", PASSWORD)


class ConfirmPasswordForm(forms.Form):
    """Asks a person who is signed in for the password: theirs, whatever else is sent."""

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
        user, password = cast(User, self.request.user), self.cleaned_data.get(PASSWORD)
        if not password:
            return
        self.user = authenticate(self.request, username=user.email, password=password)
        if self.user != user:
            self.add_error(PASSWORD, "This is not your password. Check it, or reset the password.")


@sensitive_post_parameters()
def ask_for_password(request: HttpRequest) -> HttpResponse | None:
    """Return None for a person who gave the password within ``FRESH``, else a page that asks for it.

    For ``FINTA_KEYS_FRESH_SIGN_IN``: the person is signed in. The page's form is sent to the same address.
    """
    if is_fresh(request):
        return None
    if not cast(User, request.user).has_usable_password():
        return _page(request)
    if PASSWORD not in request.POST:
        return _ask(request, ConfirmPasswordForm(request))
    answer = cast(HttpResponse, _try_password(_as_sign_in(request)))
    return None if is_fresh(request) and _carried(request) else answer


def is_fresh(request: HttpRequest) -> bool:
    """Tell whether the password was given within ``FRESH``. What lies ahead, of a clock that went wrong, is not."""
    age = timezone.now().timestamp() - request.session.get(GIVEN_AT, 0)
    return bool(0 <= age < FRESH.total_seconds())


@receiver(user_logged_in, dispatch_uid="accounts_app.fresh_sign_in")
def _remember(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is not None:
        request.session[GIVEN_AT] = timezone.now().timestamp()


def _as_sign_in(request: HttpRequest) -> HttpRequest:
    """Return the request as the limit on guessing counts it: by the address of the person who is signed in, which
    nobody can choose. Guesses here and at sign-in are counted together."""
    counted = copy.copy(request)
    typed = request.POST.copy()
    typed["username"] = cast(User, request.user).email
    counted.POST = typed  # type: ignore[assignment]  # mutable, which the limit does not mind
    return counted


@limit_guesses
def _try_password(request: HttpRequest) -> HttpResponse:
    form = ConfirmPasswordForm(request, request.POST)
    if not form.is_valid():
        return _ask(request, form)
    _remember(request)
    # Checking may have hashed the password anew, as hashers get stronger: this session is to stay good.
    request.session[HASH_SESSION_KEY] = cast(User, form.user).get_session_auth_hash()
    return HttpResponseRedirect(request.get_full_path())


def _ask(request: HttpRequest, form: ConfirmPasswordForm) -> HttpResponse:
    return _page(request, form=form, carried=_carried(request))


def _carried(request: HttpRequest) -> list[tuple[str, Any]]:
    """Return what was sent to the page that was asked for; nothing where it was to be opened only."""
    sent = request.POST.lists()
    return [(name, value) for name, values in sent if name not in NOT_CARRIED for value in values]


def _page(request: HttpRequest, **context: Any) -> HttpResponse:
    match = request.resolver_match
    cancel = "admin:index" if match and match.app_name == "admin" else "finta_keys:list"
    minutes = FRESH // timedelta(minutes=1)
    return render(request, "sign_in/confirm_password.html", {"cancel": cancel, "minutes": minutes, **context})
