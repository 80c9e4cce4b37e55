"""The exposure report of a key, as a page and a CSV file, and the list of deleted keys."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy
from django.views.generic import ListView, TemplateView

from finta_keys.access_history import AccessHistory
from finta_keys.exposure import Report, default_days
from finta_keys.models import KeyEvent
from finta_keys.own_keys import OwnKeysMixin

LINES_SHOWN = 200  # of accounts and of sources; the file has all


class PeriodForm(forms.Form):
    """The period of a report. Invalid values in the URL are ignored."""

    since = forms.DateField(label=gettext_lazy("From"), widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=gettext_lazy("Until"), widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Any) -> None:
        first, last = default_days()
        period = {"since": first.isoformat(), "until": last.isoformat()}
        given = {name: data[name] for name in period if data.get(name)}
        super().__init__(period | given, auto_id="finta_keys_%s", label_suffix="")
        if not self.is_valid():
            super().__init__(period, auto_id="finta_keys_%s", label_suffix="")
            self.is_valid()

    def clean(self) -> None:
        days = self.cleaned_data
        if len(days) == len(self.fields) and not date(1970, 1, 1) <= days["since"] <= days["until"] < date(9999, 1, 1):
            raise forms.ValidationError("The days are in another order, or too far away.")


class ReportView(OwnKeysMixin, TemplateView):
    template_name = "finta_keys/report.html"

    @cached_property
    def form(self) -> PeriodForm:
        return PeriodForm(self.request.GET)

    @cached_property
    def report(self) -> Report:
        """The report of the key in the URL. Raises ``Http404`` for keys of other owners."""
        try:
            history = AccessHistory.of(UUID(self.kwargs["key_pk"]))
        except ValueError:
            history = None
        if history is None or not self.may_see(history):
            raise Http404
        return Report(history, *self.form.cleaned_data.values())

    def may_see(self, history: AccessHistory) -> bool:
        return history.owner_pk == str(self.request.user.pk)

    @property
    def file_url(self) -> str:
        """The URL of the CSV file."""
        return self.page_url("report_file", self.report.key_id)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        report = self.report
        return super().get_context_data(
            report=report,
            form=self.form,
            accounts=report.accounts[:LINES_SHOWN],
            hidden_accounts=len(report.accounts[LINES_SHOWN:]),
            sources=report.sources[:LINES_SHOWN],
            hidden_sources=len(report.sources[LINES_SHOWN:]),
            **kwargs,
        )


class ReportFileView(ReportView):
    """The report as a CSV file."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = f"key-{self.report.key_id}-{self.report.first_day}-{self.report.last_day}.csv"
        response = HttpResponse(
            content_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
        self.report.write_csv(response)
        return response


class DeletedKeysView(OwnKeysMixin, ListView):  # type: ignore[type-arg]  # cannot be subscripted at run time
    """The deleted keys of the owner, the last one first, with links to their reports."""

    template_name = "finta_keys/deleted_keys.html"
    context_object_name = "events"
    paginate_by = 50

    def get_queryset(self) -> QuerySet[Any]:
        events = KeyEvent.objects.filter(owner_pk=str(self.request.user.pk), action=KeyEvent.Action.DELETED)
        return events.order_by("-at", "-pk")  # type: ignore[no-any-return]
