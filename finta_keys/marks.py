"""Find out if a view is scoped or marked ``@unscoped``."""

from __future__ import annotations

from typing import Any


def declares_scope(view_class: type) -> bool:
    """Return True for a view class that is scoped, or is marked ``@unscoped`` itself: the mark
    is not inherited."""
    return getattr(view_class, "is_scoped", False) or "unscoped_reason" in vars(view_class)


def is_unscoped(view: Any, handler: Any) -> bool:
    """Return True if the class of a view or its handler is marked ``@unscoped``: then no rows
    are looked up."""
    return "unscoped_reason" in vars(type(view)) or hasattr(handler, "unscoped_reason")
