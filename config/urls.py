"""URLs of the site."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.decorators.cache import cache_control
from django.views.defaults import page_not_found
from django.views.generic import RedirectView

from accounts_app.sign_in.limits import limit_attempts

handler500 = "config.error_views.server_error"


@cache_control(public=True, max_age=24 * 60 * 60)
def favicon(request: HttpRequest) -> HttpResponsePermanentRedirect:
    """For pages that name no icon: the admin and JSON."""
    return HttpResponsePermanentRedirect(static("finta_keys/favicon.svg"))


def not_found(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="finta_keys:list")),
    path("", include("accounts_app.urls")),
    # API settings
    path("settings/api", include("finta_keys.urls")),
    # The operator
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    # Replaces the admin's own sign-in, which has no limit on attempts.
    path("admin/login/", limit_attempts(admin.site.login)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
    # "View on site", which no model has. Malformed ids raise an error there.
    path("admin/r/<path:row>", not_found),
    path("admin/", admin.site.urls),
    # The API, which handles every path under /v2
    path("v2", include("accounts_app.api.urls")),
    path("favicon.ico", favicon),
]
if settings.DEBUG:
    # The site's own 404. Django's page for developers lists all URLs, and shows the settings.
    urlpatterns.append(re_path("", page_not_found, {"exception": Http404()}))
