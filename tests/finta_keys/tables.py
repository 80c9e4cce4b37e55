"""Tables for the models of one test module."""

import pytest
from django.db import connection


def tables_of(*models):
    """Return a fixture that creates the tables of these models for the tests of a module."""

    @pytest.fixture(scope="module", autouse=True)
    def tables(django_db_setup, django_db_blocker):
        with django_db_blocker.unblock():
            with connection.schema_editor() as editor:
                for model in models:
                    editor.create_model(model)
            yield
            with connection.schema_editor() as editor:
                for model in reversed(models):
                    editor.delete_model(model)

    return tables
