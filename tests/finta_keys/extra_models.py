"""Models with more relations than those of the site. The fixture ``extra_tables`` creates their tables."""

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from accounts_app.models import Account, Transaction
from finta_keys import save_signals

with isolate_apps("accounts_app"):

    class Label(models.Model):
        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
        name = models.CharField(max_length=20, unique=True)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.name

    class Note(models.Model):
        """Two paths lead from a note to an account, and both may be empty."""

        account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="+")
        transaction = models.ForeignKey(Transaction, on_delete=models.CASCADE, null=True, related_name="+")
        text = models.CharField(max_length=20)
        labels = models.ManyToManyField(Label, related_name="notes")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.text

    class Reply(models.Model):
        """Its second path may be empty on both levels."""

        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
        note = models.ForeignKey(Note, on_delete=models.CASCADE, null=True, related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return str(self.pk)


@pytest.fixture
def extra_tables(transactional_db):
    save_signals.receive_m2m_changes([Note])
    with connection.schema_editor() as editor:
        editor.create_model(Label)
        editor.create_model(Note)
        editor.create_model(Reply)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Reply)
        editor.delete_model(Note)
        editor.delete_model(Label)
