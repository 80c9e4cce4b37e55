"""Mark views and handlers: ``@unscoped`` and ``@scoped_view``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from finta_keys import gate
from finta_keys.request_state import require_reason

Marked = TypeVar("Marked", bound=Callable[..., Any])


def unscoped(reason: str) -> Callable[[Marked], Marked]:
    """Open a view to API keys that shows rows of no account, and say why that is so.

    It goes on a view class, above ``@api_view``, or on one handler or action of a view that has the
    mixin. The mark of a class is not inherited: a subclass must be marked itself. Raises
    ``TypeError`` without a reason.
    """
    require_reason("@unscoped", reason)

    def mark(view: Marked) -> Marked:
        target: Any = view if isinstance(view, type) or _is_method(view) else getattr(view, "cls", None)
        if target is None:
            raise TypeError("@unscoped marks a view class or a handler of one, or stands above @api_view.")
        if not isinstance(target, type) and target.__module__.partition(".")[0] in ("django", "rest_framework"):
            raise TypeError(
                f"@unscoped would mark {target.__qualname__} of {target.__module__} in every view. Write a handler "
                "that calls it, and mark that."
            )
        target.unscoped_reason = reason
        if isinstance(target, type):
            gate.install(target)
        return view

    return mark


def scoped_function(mixin: type, unlimited_for: Callable[[Any], bool] | None) -> Callable[[Marked], Marked]:
    """Return the decorator ``@scoped_view``: it adds ``mixin`` to the view class of
    ``@api_view``."""

    def mark(view: Marked) -> Marked:
        base = getattr(view, "cls", None)
        if base is None:
            raise TypeError("@scoped_view stands above @api_view.")
        attributes: dict[str, Any] = {"__module__": base.__module__, "__doc__": base.__doc__}
        if "only_reads" in vars(base):  # @reads below @scoped_view
            attributes["only_reads"] = True
        if unlimited_for is not None:
            attributes["unlimited_for"] = lambda self, request: unlimited_for(request)
        cls: Any = type(base.__name__, (mixin, base), attributes)
        return cls.as_view(**getattr(view, "initkwargs", {}))  # type: ignore[no-any-return]

    return mark


def _is_method(view: Any) -> bool:
    """Return True for a function defined in a class body. ``@api_view`` would discard the mark of
    any other function."""
    outer = getattr(view, "__qualname__", "").rpartition(".")[0]
    return not hasattr(view, "cls") and outer != "" and not outer.endswith("<locals>")
