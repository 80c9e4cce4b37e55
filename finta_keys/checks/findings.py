"""Errors and warnings about views. Each can be silenced for one view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.conf import settings
from django.core import checks

from finta_keys.checks.routes import RoutedView

Detail = TypeVar("Detail")


class _SilenceableForView:
    """Also silence a message by an entry of ``SILENCED_SYSTEM_CHECKS`` such as
    ``"finta_keys.W023:shops.api.ShopView"``."""

    def __init__(self, view: RoutedView, problem: str, *, hint: str | None = None, id: str) -> None:
        super().__init__(f"{view} {problem}", hint=hint, id=id)  # type: ignore[call-arg]
        self.silenced_as = f"{id}:{view.name}"

    def is_silenced(self) -> bool:
        is_silenced: bool = super().is_silenced()  # type: ignore[misc]
        return is_silenced or self.silenced_as in settings.SILENCED_SYSTEM_CHECKS


class ViewError(_SilenceableForView, checks.Error):
    """An error in a view."""


class ViewWarning(_SilenceableForView, checks.Warning):
    """A warning about a view."""


def once_per_view(findings: Iterable[tuple[RoutedView, Detail]]) -> list[tuple[RoutedView, Detail]]:
    """Return the findings without those that differ only in the path of the view."""
    first: dict[Any, tuple[RoutedView, Detail]] = {}
    for view, detail in findings:
        first.setdefault((view.cls, detail), (view, detail))
    return list(first.values())


def hint_once(findings: list[Any]) -> list[Any]:
    """Keep the hint, which is the same for all findings, only on the first one that is not
    silenced."""
    shown = [finding for finding in findings if not finding.is_silenced()]
    for finding in shown[1:]:
        finding.hint = None
    return findings
