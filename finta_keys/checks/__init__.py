"""System checks: report mistakes at startup that would fail later, or would never be noticed."""

from finta_keys.checks import project, relations, settings, views

__all__ = ["project", "relations", "settings", "views"]
