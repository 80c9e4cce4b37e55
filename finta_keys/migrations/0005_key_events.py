import django.utils.timezone
from django.db import migrations, models

BATCH = 1000


def begin_history(apps, schema_editor):
    """Write an event for each existing key: what happened to it before is not known."""
    alias = schema_editor.connection.alias
    keys = apps.get_model("finta_keys", "ApiKey")._base_manager.using(alias).order_by()
    event_model = apps.get_model("finta_keys", "KeyEvent")
    rows = keys.values_list("pk", "name", "hint", "owner_id")
    events = []
    for pk, name, hint, owner in rows.iterator(BATCH):
        events.append(
            event_model(
                action="known", key_id=pk, key_name=name, key_hint=hint, owner_pk=str(owner), actor="code", changes={}
            )
        )
        if len(events) == BATCH:
            event_model._base_manager.using(alias).bulk_create(events)
            events = []
    event_model._base_manager.using(alias).bulk_create(events)


class Migration(migrations.Migration):
    dependencies = [("finta_keys", "0004_permission_and_expiry")]

    operations = [
        migrations.CreateModel(
            name="KeyEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now, verbose_name="time"),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("created", "Created"),
                            ("renamed", "Renamed"),
                            ("scope_edited", "Scope edited"),
                            ("account_joined", "Joined the scope"),
                            ("rotated", "Rotated"),
                            ("deleted", "Deleted"),
                            ("account_gained", "Added to the owner"),
                            ("account_lost", "Left the owner"),
                            ("known", "History begins"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                ("key_id", models.UUIDField(null=True, verbose_name="key id")),
                ("key_name", models.CharField(blank=True, max_length=100, verbose_name="key")),
                ("key_hint", models.CharField(blank=True, max_length=64, verbose_name="hint")),
                ("owner_pk", models.CharField(max_length=255, verbose_name="owner")),
                (
                    "actor",
                    models.CharField(
                        choices=[
                            ("person", "Owner"),
                            ("operator", "Operator"),
                            ("command", "Command"),
                            ("key", "The key itself"),
                            ("code", "Code"),
                        ],
                        max_length=10,
                        verbose_name="made by",
                    ),
                ),
                ("actor_pk", models.CharField(blank=True, max_length=255)),
                ("actor_name", models.CharField(blank=True, max_length=255, verbose_name="name")),
                ("address", models.CharField(blank=True, max_length=45, verbose_name="address")),
                ("changes", models.JSONField(default=dict, verbose_name="changes")),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "history",
                "ordering": ["-at", "-pk"],
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["key_id", "at"], name="finta_keys_event_of_key"),
                    models.Index(fields=["owner_pk", "at"], name="finta_keys_event_of_owner"),
                ],
            },
        ),
        migrations.RunPython(begin_history, migrations.RunPython.noop),
    ]
