"""Base classes of the views of API settings: sign-in, the owner's keys, and URLs of the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError, connections, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic.base import ContextMixin

from finta_keys import conf, display, history, redaction, standby
from finta_keys.forms import ListForm
from finta_keys.key_headers import carries_key
from finta_keys.models import ApiKey
from finta_keys.responses import Conflict, is_conflict


class NewSecret(NamedTuple):
    """A key and its new secret. ``finished()`` shows the secret after the commit."""

    key: ApiKey
    secret: str


def non_atomic_requests(view: Callable[..., Any]) -> Callable[..., Any]:
    """Apply Django's ``non_atomic_requests`` for every database, whichever holds the keys."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


@method_decorator([never_cache, non_atomic_requests], name="dispatch")
class OwnKeysMixin(LoginRequiredMixin, ContextMixin):
    """Require a signed-in user and limit the view to that user's keys. Other keys are a 404.

    Requests are not atomic, even under ``ATOMIC_REQUESTS``: a secret must be committed before it
    is shown.
    """

    request: HttpRequest

    @cached_property
    def list_form(self) -> ListForm:
        return ListForm(self.request.GET)

    @property
    def list_url(self) -> str:
        """The URL of the list, with the search and sort order that the user left it with."""
        return self.page_url("list") + self.list_form.query

    def page_url(self, name: str, key_pk: Any = None) -> str:
        """Return the URL of another of these pages.

        It is in the namespace of the current page and has the same captured values, because a
        project may include the pages several times, such as once per tenant.
        """
        match = self.request.resolver_match
        kwargs = {"key_pk": key_pk} if key_pk else {}
        if match is None or "finta_keys" not in match.app_names:
            return reverse(f"finta_keys:{name}", kwargs=kwargs)
        ours = {"key_pk", *match.extra_kwargs}  # type: ignore[attr-defined]  # missing in django-stubs
        captured = {parameter: value for parameter, value in match.kwargs.items() if parameter not in ours}
        return reverse(":".join([*match.namespaces, name]), kwargs=captured | kwargs)

    @property
    def base_template(self) -> str:
        return conf.base_template()

    @cached_property
    def messages(self) -> list[Any]:
        return list(messages.get_messages(self.request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**{**self.page_context(), **kwargs})

    def page_context(self) -> dict[str, Any]:
        """Return the context that all pages need.

        ``page.html`` shows the messages, because the scripts insert only that part of a response
        into the page. The project's base template must not show them a second time.
        """
        return {"messages": (), **display.words()}

    def handle_no_permission(self) -> HttpResponseRedirect:
        if self.request.user.is_authenticated:
            return super().handle_no_permission()
        # Someone may have pasted a secret into the path or the search. Keep it out of ``next``.
        path = redaction.without_secrets(self.request.path)
        return redirect_to_login(path + self.list_form.query, self.get_login_url())

    @sensitive_variables("outcome")
    def finished(self, outcome: HttpResponse | NewSecret) -> HttpResponse:
        """Return the response after the commit of a change, with a warning if no standby has it
        yet.

        ``outcome`` is the response, or the new secret to show.
        """
        is_unconfirmed = standby.take_unconfirmed()
        if isinstance(outcome, NewSecret):
            unconfirmed = standby.sentence() if is_unconfirmed else ""
            return self.render_page("secret", key=outcome.key, secret=outcome.secret, unconfirmed=unconfirmed)
        if is_unconfirmed:
            messages.warning(self.request, standby.sentence(), fail_silently=True)
        return outcome

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = ApiKey.objects.filter(owner=self.request.user.pk)
        return keys

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if carries_key(request) and request.user.is_authenticated:  # by a session, or by a middleware
            raise PermissionDenied(_("API keys cannot manage keys. Sign in, and send no API key."))
        try:
            with history.acting(request=request):
                return super().dispatch(request, *args, **kwargs)
        except (Http404, ApiKey.DoesNotExist):
            return self.render_page("key_not_found", status=404)
        except OperationalError as error:
            if not is_conflict(error):
                raise
            response = self.render_page("busy", status=503)
            response["Retry-After"] = str(Conflict.wait)
            return response

    def render_page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """Return a response with one of this app's templates."""
        context = {"view": self, **self.page_context(), **context}
        return render(self.request, f"finta_keys/{template}.html", context, status=status)


class OneKeyMixin(OwnKeysMixin):
    """A page about one key."""

    kwargs: dict[str, Any]

    @cached_property
    def key(self) -> ApiKey:
        """The key in the URL. Raises ``Http404``."""
        try:
            # Load the owner too: another request may delete the user at any moment.
            return self.get_queryset().select_related("owner").get(pk=self.kwargs["key_pk"])
        except (ApiKey.DoesNotExist, ValidationError):  # ValidationError: the id is malformed
            raise Http404 from None
