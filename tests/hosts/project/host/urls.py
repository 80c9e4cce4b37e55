from django.contrib import admin
from django.urls import include, path
from shops.api import urlpatterns as api

from host.variant import LOCAL

pages = path("account/api", include("finta_keys.urls")) if LOCAL else path("keys/", include("finta_keys.slash_urls"))
urlpatterns = [path("admin/", admin.site.urls), path("api/", include(api)), pages]
