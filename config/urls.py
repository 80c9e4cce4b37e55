"""The site, in the order in which a person meets it."""

from django.urls import include, path

urlpatterns = [
    # Integrations; the last entry there answers all that is left below it
    path("v2", include("accounts_app.api.urls")),
]
