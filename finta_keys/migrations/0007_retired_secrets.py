import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finta_keys", "0006_usage")]

    operations = [
        migrations.AddIndex("keyevent", models.Index(fields=["actor_pk"], name="finta_keys_event_of_actor")),
        migrations.CreateModel(
            name="RetiredSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("hint", models.CharField(max_length=64, verbose_name="hint")),
                ("key_id", models.UUIDField(db_index=True, verbose_name="key id")),
                ("key_name", models.CharField(blank=True, max_length=100, verbose_name="key")),
                ("owner_pk", models.CharField(db_index=True, max_length=255, verbose_name="owner")),
                (
                    "reason",
                    models.CharField(
                        choices=[("rotated", "Rotated"), ("deleted", "Deleted")], max_length=10, verbose_name="reason"
                    ),
                ),
                (
                    "retired_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now, verbose_name="retired at"),
                ),
                ("tries", models.PositiveBigIntegerField(default=0, verbose_name="tries")),
                ("last_tried_at", models.DateTimeField(null=True, verbose_name="last tried at")),
                ("last_network", models.CharField(blank=True, max_length=50, verbose_name="last network")),
                ("last_agent", models.CharField(blank=True, max_length=50, verbose_name="last program")),
            ],
            options={
                "verbose_name": "retired secret",
                "verbose_name_plural": "retired secrets",
                "ordering": ["-retired_at", "-pk"],
                "base_manager_name": "objects",
                "constraints": [
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(django.db.models.functions.text.Length("digest"), 32),
                        name="finta_keys_retired_digest_is_32_bytes",
                    ),
                ],
            },
        ),
    ]
