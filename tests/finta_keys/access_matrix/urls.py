"""One path for each form, line-up and view, next to the project's own paths."""

from contextlib import contextmanager
from importlib import import_module
from unittest import mock

from django.conf import settings
from django.test import override_settings
from django.urls import path
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from tests.finta_keys.access_matrix import table, views

KEY = "finta_keys.authentication.ApiKeyAuthentication"
SESSION = "rest_framework.authentication.SessionAuthentication"
OTHER = "tests.finta_keys.access_matrix.views.OtherBearerAuthentication"
CLASSES = {"key": KEY, "session": SESSION, "other": OTHER}


@contextmanager
def default_classes(lineup):
    """Make the line-up the project's default.

    DRF copies the setting to ``APIView`` when it is imported, before the settings of a test can change it.
    """
    names = [CLASSES[name] for name in table.LINEUPS[lineup]]
    with override_settings(REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": names}):
        classes = api_settings.DEFAULT_AUTHENTICATION_CLASSES
        with mock.patch.object(APIView, "authentication_classes", classes):
            yield classes


def _paths():
    for lineup in table.LINEUPS:
        with default_classes(lineup) as classes:
            for form, named in (("default", None), ("named", classes)):
                for name in views.CLASSES:
                    yield path(f"{form}/{lineup}/{name}", views.class_view(name, named).as_view())
                yield path(f"{form}/{lineup}/marked_function", views.function_view(named))


urlpatterns = [
    *_paths(),
    path("plain", views.plain),
    path("plain_scoped", views.plain_scoped),
    path("plain_key", views.plain_key),
    *import_module(settings.ROOT_URLCONF).urlpatterns,
]
