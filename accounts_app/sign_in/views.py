"""The pages for sign-in and passwords."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, cast

from django.contrib.auth import views as auth
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.utils.http import base36_to_int

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
    email_template_name = "sign_in/password_reset_email.txt"
    subject_template_name = "sign_in/password_reset_subject.txt"
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


class FormTokenGenerator(PasswordResetTokenGenerator):
    """Makes the token that the session keeps while the form of a reset link is open."""

    key_salt = "accounts_app.sign_in.views.FormTokenGenerator"

    def replace(self, token: str, user: User) -> str:
        """Return a token that expires when ``token`` does."""
        timestamp = base36_to_int(token.partition("-")[0])
        return self._make_token_with_timestamp(user, timestamp, self.secret)


class SetPasswordView(auth.PasswordResetConfirmView):
    """Clears the attempts, so that the user can sign in with the new password at once."""

    template_name = "sign_in/password_reset_confirm.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Store another token in the session than the one in the link.

        A thief of the database can read sessions, and could set the password with the link's token.
        """
        if kwargs["token"] == self.reset_url_token:
            self.token_generator = FormTokenGenerator()
            return super().dispatch(request, *args, **kwargs)
        request.session.pop(auth.INTERNAL_RESET_SESSION_TOKEN, None)
        response = super().dispatch(request, *args, **kwargs)
        if auth.INTERNAL_RESET_SESSION_TOKEN in request.session:
            token = FormTokenGenerator().replace(kwargs["token"], cast(User, self.user))
            request.session[auth.INTERNAL_RESET_SESSION_TOKEN] = token
        return response

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        clear_attempts(self.request, form.user)
        return response
