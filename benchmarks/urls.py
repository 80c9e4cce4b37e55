"""The measured view and the site's own API."""

import os

from django.urls import include, path

from benchmarks.views import view_of

urlpatterns = [
    path("v2", include("accounts_app.api.urls")),
    path("bench/accounts/<str:pk>", view_of(os.environ["BENCH_DESIGN"])),
]
