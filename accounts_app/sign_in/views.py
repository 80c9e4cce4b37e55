"""The pages for sign-in and passwords."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, cast

from django.contrib.auth import views as auth
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator

from accounts_app.models import User
from accounts_app.sign_in import background
from accounts_app.sign_in.forms import ResetPasswordForm, SignInForm
from accounts_app.sign_in.limits import clear_attempts, limit_attempts, reject_attempt, reject_reset_email
from finta_keys.names import fold

logger = logging.getLogger(__name__)


@method_decorator(limit_attempts, name="dispatch")
class SignInView(auth.LoginView):
    template_name = "sign_in/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class ChangePasswordView(auth.PasswordChangeView):
    """Limits attempts too: anyone at a signed-in browser could guess the old password here."""

    template_name = "sign_in/password_change.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return reject_attempt(request, cast(User, request.user).email_key) or super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        clear_attempts(self.request, form.user)
        return response


class ResetPasswordView(auth.PasswordResetView):
    """Sends a reset link. The response and its timing are the same for unknown addresses.

    Limited per source, and per e-mail address over all sources. The second limit locks no owner out
    as long as its period is no longer than a link is valid: the mailbox then holds a valid link.
    """

    template_name = "sign_in/password_reset.html"
    form_class = ResetPasswordForm

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        rejection = reject_reset_email(self.request, fold(form.cleaned_data["email"]))
        if rejection:
            return rejection
        # Not in this thread: looking up the user and sending the mail takes measurably longer than
        # doing nothing. The delay would show in this response or in the next one on the connection.
        background.submit(partial(self._send, form))
        return HttpResponseRedirect(str(self.get_success_url()))

    def _send(self, form: PasswordResetForm) -> None:
        try:
            super().form_valid(form)
        except Exception:  # The response has been sent, so Django does not report this.
            logger.exception("A mail to reset a password was not sent.")


class SetPasswordView(auth.PasswordResetConfirmView):
    """Clears the attempts, so that the user can sign in with the new password at once."""

    template_name = "sign_in/password_reset_confirm.html"

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        clear_attempts(self.request, form.user)
        return response
