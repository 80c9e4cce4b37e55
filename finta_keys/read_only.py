"""Reject every method of a read-only key that is not safe, before anything is looked up (rule
K8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS

from finta_keys.callers import key_of

Marked = TypeVar("Marked", bound=Callable[..., Any])


class ReadOnlyKey(PermissionDenied):
    """A 403: the key may use safe methods only."""

    default_detail = "This API key is read only."
    default_code = "read_only_key"


def reads(view: Marked) -> Marked:
    """Mark a POST that only reads, such as a search, so that read-only keys may use it.

    It goes on a handler or action of a view, or above ``@api_view``. Other methods stay closed to
    read-only keys. Raise ``TypeError`` for a class, because that would mark every POST of it.
    """
    if isinstance(view, type):
        raise TypeError(f"Mark a handler of {view.__qualname__} with @reads, not the class.")
    getattr(view, "cls", view).only_reads = True  # type: ignore[union-attr]  # a handler or a class
    return view


def reject_read_only(view: Any, request: Any) -> None:
    """Raise ``ReadOnlyKey`` if a read-only key requests a method that is not safe.

    The gate of every view calls it after ``initial()``. Call it earlier, after the view's own 403s,
    if ``initial()`` of the view looks up rows.
    """
    if is_rejected(view, request):
        raise ReadOnlyKey


def is_rejected(view: Any, request: Any) -> bool:
    """Return True if the key of a request is read-only, and the method is neither safe nor a
    POST that only reads."""
    key = key_of(request)  # also that of an authentication class of the project
    if key is None or not key.read_only or request.method in SAFE_METHODS:
        return False
    return not only_reads(view, request.method)


def only_reads(view: Any, method: str) -> bool:
    """Return True for a POST that is marked by ``@reads``."""
    if method != "POST":
        return False
    return hasattr(getattr(view, "post", None), "only_reads") or "only_reads" in vars(type(view))
