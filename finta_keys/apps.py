from importlib.util import find_spec

from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.utils.translation import gettext_lazy as _


class FintaKeysConfig(AppConfig):
    name = "finta_keys"
    verbose_name = _("API keys")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from finta_keys import checks, usage  # noqa: F401  # importing registers the checks

        request_started.connect(usage.forget, dispatch_uid="finta_keys.usage.forget")
        request_finished.connect(usage.record_noted, dispatch_uid="finta_keys.usage.record_noted")
        if find_spec("drf_spectacular"):
            from finta_keys import openapi  # noqa: F401  # importing registers the extension
