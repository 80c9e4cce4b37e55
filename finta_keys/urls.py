"""The URLs of API settings.

Include them without a trailing slash: ``path("settings/api", include("finta_keys.urls"))``.
If your URLs end in a slash, use ``finta_keys.slash_urls``.
"""

from django.urls import path
from django.views.i18n import JavaScriptCatalog

from finta_keys import key_views, list_views, narrow_views, report_views, views

app_name = "finta_keys"
PAGES = [
    ("keys/new", views.CreateKeyView.as_view(), "create"),
    ("keys/deleted", report_views.DeletedKeysView.as_view(), "deleted_keys"),
    ("keys/delete-all", views.DeleteAllView.as_view(), "delete_all"),
    ("keys/<str:key_pk>", key_views.KeyView.as_view(), "key"),
    ("keys/<str:key_pk>/duplicate", views.DuplicateKeyView.as_view(), "duplicate"),
    ("keys/<str:key_pk>/rename", views.RenameKeyView.as_view(), "rename"),
    ("keys/<str:key_pk>/edit-scope", views.EditScopeView.as_view(), "edit_scope"),
    ("keys/<str:key_pk>/narrow", narrow_views.NarrowView.as_view(), "narrow"),
    ("keys/<str:key_pk>/rotate", views.RotateKeyView.as_view(), "rotate"),
    ("keys/<str:key_pk>/first-call", list_views.FirstCallView.as_view(), "first_call"),
    ("keys/<str:key_pk>/delete", views.DeleteKeyView.as_view(), "delete"),
    ("keys/<str:key_pk>/report", report_views.ReportView.as_view(), "report"),
    ("keys/<str:key_pk>/report.csv", report_views.ReportFileView.as_view(), "report_file"),
    # Translations for the scripts, if the page is not in English
    ("texts", JavaScriptCatalog.as_view(packages=["finta_keys"]), "texts"),
]
key_list = path("", list_views.KeyListView.as_view(), name="list")
urlpatterns = [key_list, *(path(f"/{route}", view, name=name) for route, view, name in PAGES)]
