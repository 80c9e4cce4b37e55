from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, UsernameField

from accounts_app.sign_in import background

EMAIL_MAX_LENGTH = 254  # The form rejects longer addresses before it checks a password.


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "There is no user with this e-mail and password. Check both, or reset the password.",
    }
    username = UsernameField(
        label="E-mail",
        max_length=EMAIL_MAX_LENGTH,
        # Not type="email": browsers convert what users type there, and reject valid international
        # addresses.
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "email", "spellcheck": "false"}),
    )


class ResetPasswordForm(PasswordResetForm):
    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        # A slow mail server must not hold a database connection.
        background.release_connections()
        super().send_mail(*args, **kwargs)
