"""API settings. To be included without a trailing slash: ``path("settings/api", include("finta_keys.urls"))``."""

from django.urls import path

from finta_keys import views

app_name = "finta_keys"
urlpatterns = [
    path("", views.KeyListView.as_view(), name="list"),
    path("/keys/new", views.CreateKeyView.as_view(), name="create"),
    path("/keys/<str:pk>/rename", views.RenameKeyView.as_view(), name="rename"),
    path("/keys/<str:pk>/edit-scope", views.EditScopeView.as_view(), name="edit_scope"),
    path("/keys/<str:pk>/rotate", views.RotateKeyView.as_view(), name="rotate"),
    path("/keys/<str:pk>/delete", views.DeleteKeyView.as_view(), name="delete"),
]
