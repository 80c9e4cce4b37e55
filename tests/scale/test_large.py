"""The rows that API settings reads for an owner with many more accounts and scope rows than others.

``large.py`` measures all actions with a million keys.
"""

import pytest
from django.db import connection

from accounts_app.models import Account, User
from benchmarks.make_data import make, pk
from tests.scale import large, plans
from tests.scale.conftest import analyze


@pytest.mark.slow
def test_large_list_reads_scope_rows_once(crowd, db):
    # Without statistics of these rows: the planner takes the owner for an ordinary one.
    make(connection, large.LARGE, start=large.START)
    owner = User.objects.get(pk=pk("owner", large.START))
    other = Account.objects.filter(owner=pk("owner", 1)).first()
    [action] = [action for action in large.actions(owner, other) if action.name == "API settings"]
    rows = plans.cost(action.work)
    analyze()  # the connection caches the statistics
    assert rows <= large.bound(action)
