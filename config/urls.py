"""The site, in the order in which a person meets it."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="finta_keys:list")),
    path("", include("accounts_app.urls")),
    # The owner's keys
    path("settings/api", include("finta_keys.urls")),
    # The operator
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    # Integrations; the last entry there answers all that is left below it
    path("v2", include("accounts_app.api.urls")),
]
