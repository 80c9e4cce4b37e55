"""System checks: report mistakes at startup that would fail later, or would never be noticed.

``settings`` checks the settings of the app, ``project`` the account model, databases, migrations
and URLs, ``views`` the views that accept keys, and ``relations`` their serializers and filters.
``routes`` and ``findings`` are helpers. docs/reference.md lists the ids; an id is never used
again.
"""

from finta_keys.checks import project, relations, settings, views

__all__ = ["project", "relations", "settings", "views"]
