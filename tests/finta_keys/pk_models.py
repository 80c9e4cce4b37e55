"""Models with other kinds of primary keys than those of the site. The fixture ``pk_tables`` creates their tables."""

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from accounts_app.models import Account, Transaction


class DashForNull(models.CharField):
    """A field of a project whose converter replaces null."""

    def from_db_value(self, value, expression, connection):
        return "-" if value is None else value


with isolate_apps("accounts_app"):

    class Ticket(models.Model):
        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return str(self.pk)

    class Voucher(models.Model):
        code = models.CharField(max_length=20, primary_key=True)
        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.code

    class Detail(models.Model):
        account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="+")
        text = models.CharField(max_length=20)
        note = DashForNull(max_length=20, null=True)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.text

    class Loan(Transaction):
        """Multi-table inheritance from a model with a path to the account."""

        parent = models.OneToOneField(
            Transaction, on_delete=models.CASCADE, parent_link=True, primary_key=True, related_name="+"
        )
        rate = models.IntegerField(default=5)

        class Meta:
            app_label = "accounts_app"

    class Vault(Account):
        """Multi-table inheritance from the account model."""

        parent = models.OneToOneField(
            Account, on_delete=models.CASCADE, parent_link=True, primary_key=True, related_name="+"
        )
        depth = models.IntegerField(default=3)

        class Meta:
            app_label = "accounts_app"


TABLES = (Ticket, Voucher, Detail, Loan, Vault)


@pytest.fixture
def pk_tables(transactional_db):
    with connection.schema_editor() as editor:
        for model in TABLES:
            editor.create_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in TABLES:
            editor.delete_model(model)
