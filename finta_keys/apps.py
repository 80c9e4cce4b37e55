from contextlib import suppress
from importlib.util import find_spec

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class FintaKeysConfig(AppConfig):
    name = "finta_keys"
    verbose_name = _("API keys")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from finta_keys import (
            account_events,
            checks,  # noqa: F401  # importing registers them
            conf,
            save_signals,
            usage_counts,
        )

        usage_counts.remember_databases()
        with suppress(ImproperlyConfigured):  # A check reports it.
            save_signals.receive_m2m_changes(apps.get_models())
            account_events.receive_changes(apps.get_models())

        # Import the hook's module now: it may connect receivers that must not miss the first
        # sign-ins. A check reports a module that does not exist.
        with suppress(ImportError):
            conf.fresh_sign_in()

        if find_spec("drf_spectacular"):
            from finta_keys import openapi  # noqa: F401  # importing registers the extension
