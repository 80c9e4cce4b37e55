"""Find the code that sent a statement to the database, by the frames of the call."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from types import FrameType
from typing import Any

FRAMEWORKS = frozenset({"django", "rest_framework", "django_filters", "asgiref"})
# Modules of ours that evaluate querysets of the project. Statements of the others are our own.
EVALUATING = frozenset(
    f"finta_keys.{name}"
    for name in (
        "authentication",
        "cache_keys",
        "callers",
        "fields",
        "filters",
        "gate",
        "guard",
        "limited_fields",
        "relations",
        "scoping",
        "serializers",
        "url_rows",
        "view_objects",
        "view_querysets",
        "watch",
        "watch_patches",
    )
)
RELATED_MANAGERS = "django.db.models.fields.related_descriptors"
# Functions of Django that read rows in order to change them, or look for duplicates that the
# database would find. What is saved is checked.
READS_TO_CHANGE = {
    ("django.db.models.deletion", "collect"),
    (RELATED_MANAGERS, "set"),
    (RELATED_MANAGERS, "_get_missing_target_ids"),
    ("django.db.models.base", "_perform_unique_checks"),
    ("django.db.models.constraints", "validate"),
}
# Calls outside these do not belong to the request.
OUTERMOST = {
    ("django.core.handlers.base", "get_response"),
    ("django.core.handlers.base", "get_response_async"),
    ("rest_framework.views", "dispatch"),
    ("finta_keys.watch_patches", "_body"),
}
COMPILERS = "django.db.models.sql.compiler"
STDLIB = (sysconfig.get_path("stdlib"), "<")  # "<string>" and the like
INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Origin:
    """The origin of a statement, as the frames of the call show it."""

    compiler: Any = None  # of Django, if the statement is not raw SQL
    collector: Any = None  # of Django's deletions
    reads_to_change: bool = False
    is_by_finta_keys: bool = False  # not of the project: not checked
    place: str = ""  # file and line of the project's code

    def add(self, frame: FrameType) -> bool:
        """Read a frame of Django, Django REST framework or this app. Return False if no more
        frames are needed."""
        module, function = _location(frame)
        if (module, function) == ("django.db.models.deletion", "delete") and self.collector is None:
            self.collector = frame.f_locals["self"]
        elif (module, function) in READS_TO_CHANGE:
            self.reads_to_change = True
        elif module.startswith("finta_keys.") and module not in EVALUATING:
            self.is_by_finta_keys = True
            return False
        return True


def find_origin(sql: Any) -> Origin:
    """Return the origin of a statement that is about to be executed."""
    origin, package_place = Origin(), ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _location(frame) not in OUTERMOST:
        module, path = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
        root = module.partition(".")[0]
        if module == COMPILERS and frame.f_locals.get("sql") == sql:
            # The frames until here are cursors, perhaps of a project or a package.
            origin, package_place = Origin(frame.f_locals["self"]), ""
        elif origin.place:
            pass  # Only the compiler is missing.
        elif root in FRAMEWORKS or root == "finta_keys":
            # Frames outside the code of a package say nothing about its statement.
            if not package_place and not origin.add(frame):
                break
        elif any(folder in path for folder in INSTALLED):
            package_place = package_place or _place(frame)
        elif not path.startswith(STDLIB):
            origin.place = _place(frame)
        if origin.place and origin.compiler is not None:
            break
        frame = frame.f_back
    origin.place = origin.place or package_place
    return origin


def _location(frame: FrameType) -> tuple[str, str]:
    return frame.f_globals.get("__name__", ""), frame.f_code.co_name


def _place(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    relative = os.path.relpath(path)
    return f"{path if relative.startswith('..') else relative}:{frame.f_lineno}"
