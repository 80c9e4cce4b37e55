"""A host whose paths end in a slash, and that calls these pages by a namespace of its own."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("login/", RedirectView.as_view(url="/"), name="login"),
    path("people/me/settings/api/", include("finta_keys.slash_urls", namespace="keys")),
    path("admin/", admin.site.urls),
]
