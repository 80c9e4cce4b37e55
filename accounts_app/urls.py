"""URLs of the site's pages."""

from django.contrib.auth import views as auth
from django.urls import path

from accounts_app import views
from accounts_app.sign_in import views as sign_in

urlpatterns = [
    # Sign-in
    path("login", sign_in.SignInView.as_view(), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path(
        "password/change",
        sign_in.ChangePasswordView.as_view(),
        name="password_change",
    ),
    path(
        "password/change/done",
        auth.PasswordChangeDoneView.as_view(template_name="sign_in/password_change_done.html"),
        name="password_change_done",
    ),
    path(
        "password/reset",
        sign_in.ResetPasswordView.as_view(),
        name="password_reset",
    ),
    path(
        "password/reset/sent",
        auth.PasswordResetDoneView.as_view(template_name="sign_in/password_reset_sent.html"),
        name="password_reset_done",
    ),
    path(
        "password/reset/<uidb64>/<token>",
        sign_in.SetPasswordView.as_view(),
        name="password_reset_confirm",
    ),
    path(
        "password/reset/done",
        auth.PasswordResetCompleteView.as_view(template_name="sign_in/password_reset_done.html"),
        name="password_reset_complete",
    ),
    # Accounts and Data settings
    path("accounts", views.AccountsView.as_view(), name="my_accounts"),
    path("accounts/new", views.AddAccountView.as_view(), name="account_add"),
    path("accounts/<str:pk>/edit", views.EditAccountView.as_view(), name="account_edit"),
    path("accounts/<str:pk>/close", views.CloseAccountView.as_view(), name="account_close"),
    path("accounts/<str:pk>/delete", views.DeleteAccountView.as_view(), name="account_delete"),
    path("settings/data", views.DataSettingsView.as_view(), name="data_settings"),
    path("settings/data/switch-on", views.SwitchOnView.as_view(), name="storage_mode_on"),
    path("settings/data/switch-off", views.SwitchOffView.as_view(), name="storage_mode_off"),
]
