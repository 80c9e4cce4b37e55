"""Written by hand: the host's models are named through its settings, which makemigrations would
write out."""

import uuid

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.FINTA_KEYS_ACCOUNT_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("name_key", models.CharField(editable=False, max_length=400)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("pepper_id", models.CharField(editable=False, max_length=8)),
                ("hint", models.CharField(editable=False, max_length=64, verbose_name="hint")),
                ("share_all_accounts", models.BooleanField(default=True)),
                ("rotation", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("rotated_at", models.DateTimeField(editable=False, null=True, verbose_name="rotated at")),
                ("last_used_at", models.DateTimeField(editable=False, null=True, verbose_name="last used at")),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
                "ordering": ["-created_at", "pk"],
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="CreateNonce",
            fields=[
                ("value", models.CharField(max_length=43, primary_key=True, serialize=False)),
                ("key_id", models.UUIDField()),
                ("spent_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="KeyAccountScope",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="key_scopes",
                        to=settings.FINTA_KEYS_ACCOUNT_MODEL,
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scope_rows",
                        to="finta_keys.apikey",
                    ),
                ),
            ],
            options={"base_manager_name": "objects"},
        ),
        migrations.AddField(
            model_name="apikey",
            name="accounts",
            field=models.ManyToManyField(
                editable=False,
                related_name="api_keys",
                through="finta_keys.KeyAccountScope",
                to=settings.FINTA_KEYS_ACCOUNT_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(fields=("owner", "name_key"), name="finta_keys_name_unique_per_owner"),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("name_key", ""), _negated=True), name="finta_keys_name_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.IntegerLessThanOrEqual(
                    django.db.models.functions.text.Length("name"), 100
                ),
                name="finta_keys_name_not_too_long",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.Exact(django.db.models.functions.text.Length("digest"), 32),
                name="finta_keys_digest_is_32_bytes",
            ),
        ),
        migrations.AddConstraint(
            model_name="keyaccountscope",
            constraint=models.UniqueConstraint(fields=("key", "account"), name="finta_keys_scope_row_unique"),
        ),
    ]
