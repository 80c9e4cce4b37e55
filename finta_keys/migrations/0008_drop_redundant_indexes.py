import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# The columns whose own index repeats the beginning of a unique index.
COLUMNS = [("ApiKey", "owner"), ("KeyAccountScope", "key"), ("CreateNonce", "value")]


def drop_indexes(apps, schema_editor):
    """Drop the indexes that are on one of these columns only, but no unique one.

    An ``AlterField`` would do more: PostgreSQL would validate the foreign key of all rows again,
    under a lock, and SQLite would copy the table.
    """
    connection = schema_editor.connection
    for model_name, field_name in COLUMNS:
        model = apps.get_model("finta_keys", model_name)
        column = model._meta.get_field(field_name).column
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, constraint in constraints.items():
            if constraint["index"] and constraint["columns"] == [column] and not constraint["unique"]:
                schema_editor.remove_index(model, models.Index(fields=[field_name], name=name))


def create_indexes(apps, schema_editor):
    for model_name, field_name in COLUMNS[:2]:  # PostgreSQL's third one was for LIKE, which no query uses
        model = apps.get_model("finta_keys", model_name)
        name = f"{model._meta.db_table}_{field_name}"
        schema_editor.add_index(model, models.Index(fields=[field_name], name=name))


class Migration(migrations.Migration):
    """Nothing that code relies on changes: each query uses the longer index."""

    dependencies = [
        ("finta_keys", "0007_retired_secrets"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.FINTA_KEYS_ACCOUNT_MODEL),
    ]

    operations = [
        # A text column with db_index=True has two indexes on PostgreSQL.
        migrations.AddIndex("retiredsecret", models.Index(fields=["owner_pk"], name="finta_keys_retired_of_owner")),
        migrations.AlterField("retiredsecret", "owner_pk", models.CharField(max_length=255, verbose_name="owner")),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, create_indexes)],
            state_operations=[
                migrations.AlterField(
                    "apikey",
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="finta_keys",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                migrations.AlterField(
                    "keyaccountscope",
                    "key",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scope_rows",
                        to="finta_keys.apikey",
                    ),
                ),
            ],
        ),
    ]
