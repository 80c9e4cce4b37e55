"""System checks: report mistakes at startup that would fail later, or would never be noticed.

``settings`` checks the settings of the app, ``project`` the account model, databases, migrations
and URLs, ``views`` the views that accept keys, ``relations`` their serializers and filters, and
``lookups`` the columns of their searches and orderings.
``routes`` and ``findings`` are helpers. docs/reference.md lists the ids; an id is never used
again.
"""

from finta_keys.checks import lookups, project, relations, settings, views

__all__ = ["lookups", "project", "relations", "settings", "views"]
