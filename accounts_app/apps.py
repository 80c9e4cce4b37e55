from django.apps import AppConfig


class AccountsAppConfig(AppConfig):
    name = "accounts_app"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts_app import checks  # noqa: F401  # registers the system checks
        from accounts_app.sign_in import confirm_password, limits  # noqa: F401  # connects the receivers
        from accounts_app.storage_mode import switch_on_for_key
        from finta_keys.signals import key_created

        key_created.connect(switch_on_for_key, dispatch_uid="accounts_app.storage_mode")
