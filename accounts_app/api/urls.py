"""URLs of the API. Include them without a trailing slash: ``path("v2",
include("accounts_app.api.urls"))``.
"""

from django.urls import path, re_path

from accounts_app.api import views

urlpatterns = [
    # Without a key
    path("/health", views.HealthView.as_view(), name="health"),
    path("/openapi.json", views.OpenApiView.as_view(), name="openapi"),
    path("/docs", views.DocsView.as_view(), name="api_docs"),
    # With a key. Ids are <str:>, so that a malformed id gets the same 404 as an unknown one.
    path("/me", views.MeView.as_view(), name="me"),
    path("/key", views.KeyDetailsView.as_view(), name="key"),
    path("/accounts", views.AccountsView.as_view(), name="accounts"),
    path("/accounts/<str:accountId>", views.AccountView.as_view(), name="account"),
    path("/transactions", views.TransactionsView.as_view(), name="transactions"),
    # Every other path below /v2
    re_path(r"^(?:/|\Z)", views.NotFoundView.as_view(), name="not_found"),
]
