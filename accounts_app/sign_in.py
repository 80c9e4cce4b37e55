"""Sign-in, passwords, and the limits on guessing at them.

Attempts are counted for each source and e-mail address together: for the address alone, anybody could keep its owner
out. Failures are counted for the source alone as well, much more loosely, as an office behind one address is many
people: one source that tries one password at each address gets no further than that.

A source is the caller's address as ``proxies`` tells it. The API has no part in any of this.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Callable
from functools import partial, wraps
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, SetPasswordForm, UsernameField
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import connections
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app import limiter
from accounts_app.models import User
from accounts_app.proxies import client_address
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
        refused = _refuse(request, _typed_email(request)) if request.method == "POST" else None
        return refused or view(request, *args, **kwargs)

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


class ChangePasswordView(auth.PasswordChangeView):
    """Asks for the old password: who finds a browser that is signed in could guess at it here."""

    template_name = "sign_in/password_change.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _refuse(request, cast(User, request.user).email_key) or super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _forget(self.request, form.user)
        return response


class ResetPasswordView(auth.PasswordResetView):
    """Mails a link, and answers the same, and as fast, where there is nobody to mail one to.

    Limited for each source, and for each e-mail address over all sources. That keeps no owner out, if the latter is
    counted over no longer than a link is good: where it is reached, links that are still good are in the mailbox.
    """

    template_name = "sign_in/password_reset.html"

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        refused = _refuse_mail(self.request, fold(form.cleaned_data["email"]))
        if refused:
            return refused
        # Apart: looking for the user and sending the mail takes long enough to be noticed, by the time of this answer
        # or of the next one on the same connection.
        apart(partial(self._send, form))
        return HttpResponseRedirect(str(self.get_success_url()))

    def _send(self, form: PasswordResetForm) -> None:
        try:
            super().form_valid(form)
        except Exception:  # Nobody else would report it: the answer has been sent.
            logger.exception("A mail to reset a password was not sent.")


def apart(job: Callable[[], None]) -> None:
    """Do it in a thread of its own, which the process waits for when it ends."""

    def do() -> None:
        try:
            job()
        finally:
            connections.close_all()  # those of this thread

    threading.Thread(target=do, name="apart").start()


class SetPasswordView(auth.PasswordResetConfirmView):
    """Lets the person in with the new password at once: the page of the limit says so."""

    template_name = "sign_in/password_reset_confirm.html"

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        _forget(self.request, form.user)
        return response


def _refuse(request: HttpRequest, email: str) -> HttpResponse | None:
    """Count an attempt at the password of ``email``. Return None, or the answer where there were too many before."""
    source, attempts = _failures(request), _attempts(request, email)
    try:
        # The source's failures are counted when they have failed: a sign-in that succeeds could not be taken out of the
        # count, and must not clear it, or a guesser would sign in as himself now and then. So as many as are
        # checked at the same moment may be let through beyond that limit. Attempts at one account never are.
        if not limiter.has_room(*source):
            return _too_many(request, limiter.wait(*source), "429.html", of_source=True)
        if not limiter.hit(*attempts):
            return _too_many(request, limiter.wait(*attempts), "429.html")
    except limiter.Unreachable:
        # Guessing without limit for a while is slow, passwords being hashed with Argon2; nobody able to sign in, not
        # even to delete a key that leaked, is worse.
        limiter.tell_unreachable("Sign-in is not limited")
    return None


@receiver(user_login_failed, dispatch_uid="accounts_app.sign_in.failed")
def _count_failure(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is None:  # a program's, such as a command
        return
    try:
        limiter.hit(*_failures(request))
    except limiter.Unreachable:
        limiter.tell_unreachable("Failed sign-ins are not counted")


def _refuse_mail(request: HttpRequest, email: str) -> HttpResponse | None:
    """Count a mail to ``email``. Return None, or the answer where there were too many before it."""
    both = _mails_of_source(request), _mails(email)
    try:
        # What one of them refuses does not fill the other.
        for step in (limiter.has_room, limiter.hit):
            for counted in both:
                if not step(*counted):
                    return _too_many(request, limiter.wait(*counted), "sign_in/password_reset_too_many.html")
    except limiter.Unreachable:
        limiter.tell_unreachable("Mails to reset passwords are not limited")
    return None


def _forget(request: HttpRequest, user: User) -> None:
    """Start anew for one who has shown to be ``user``, whose links to reset the password are not good any more."""
    try:
        limiter.forget(*_attempts(request, user.email_key))
        limiter.forget(*_mails(user.email_key))
    except limiter.Unreachable:
        limiter.tell_unreachable("Attempts to sign in are still counted")


@receiver(user_logged_in, dispatch_uid="accounts_app.sign_in")
def _forget_attempts(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # The signal, and not a redirect as the answer: that is what one who is signed in gets whatever is sent.
    if request is not None:
        _forget(request, user)


# What is counted, each with its rates


def _attempts(request: HttpRequest, email: str) -> tuple[str, ...]:
    return settings.SIGN_IN_LIMIT, "sign-in", _hashed(f"{_source(request)}\n{email}")


def _failures(request: HttpRequest) -> tuple[str, ...]:
    return settings.SIGN_IN_SOURCE_LIMIT, "sign-in-source", _hashed(_source(request))


def _mails(email: str) -> tuple[str, ...]:
    return settings.PASSWORD_RESET_LIMIT, "password-reset", _hashed(email)


def _mails_of_source(request: HttpRequest) -> tuple[str, ...]:
    return settings.PASSWORD_RESET_SOURCE_LIMIT, "password-reset-source", _hashed(_source(request))


def _hashed(text: str) -> str:
    """Return what stands for ``text`` in the storage, which so holds no addresses, and nothing of any length."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _typed_email(request: HttpRequest) -> str:
    """Return the address as the form and then ``get_by_natural_key()`` read it: all its spellings are one."""
    typed = UsernameField(max_length=EMAIL_MAX_LENGTH).to_python(request.POST.get("username", ""))
    return fold(str(typed)[:EMAIL_MAX_LENGTH])


def _source(request: HttpRequest) -> str:
    """Return the caller's address; of IPv6 its first half, as one caller has all addresses in the other half."""
    address = client_address(request)
    try:
        ip = ip_address(address)
    except ValueError:  # none, behind a Unix socket
        return address
    return hex(int(ip) >> 64) if isinstance(ip, IPv6Address) and not ip.ipv4_mapped else address


def _too_many(request: HttpRequest, seconds: int, page: str, **context: Any) -> HttpResponse:
    response = render(request, page, {"wait": _in_words(seconds), **context}, status=429)
    response["Retry-After"] = str(seconds)
    return response


def _in_words(seconds: int) -> str:
    number, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{number} {unit}{'s' if number > 1 else ''}"
