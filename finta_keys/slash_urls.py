"""The URLs of API settings, with trailing slashes.

Include them with ``path("settings/api/", include("finta_keys.slash_urls"))``.
"""

from django.urls import path

from finta_keys.urls import PAGES, app_name, key_list

__all__ = ["app_name", "urlpatterns"]

urlpatterns = [key_list, *(path(f"{route}/", view, name=name) for route, view, name in PAGES)]
