"""System checks: what would fail late, or not be noticed at all, is refused at the start."""

from finta_keys.checks import project, relations, settings, views

__all__ = ["project", "relations", "settings", "views"]
