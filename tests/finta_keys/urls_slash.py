"""The URLs of a host that uses trailing slashes and its own namespace for the pages."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("login/", RedirectView.as_view(url="/"), name="login"),
    path("people/me/settings/api/", include("finta_keys.slash_urls", namespace="keys")),
    path("admin/", admin.site.urls),
]
