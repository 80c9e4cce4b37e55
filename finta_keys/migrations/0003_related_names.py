import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Names that no other app has. Nothing in the database changes."""

    dependencies = [
        ("finta_keys", "0002_scope_edits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.FINTA_KEYS_ACCOUNT_MODEL),
    ]

    operations = [
        migrations.AlterField(
            "apikey",
            "owner",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="finta_keys",
                to=settings.AUTH_USER_MODEL,
                verbose_name="owner",
            ),
        ),
        migrations.AlterField(
            "apikey",
            "accounts",
            models.ManyToManyField(
                editable=False,
                related_name="finta_keys",
                through="finta_keys.KeyAccountScope",
                to=settings.FINTA_KEYS_ACCOUNT_MODEL,
            ),
        ),
        migrations.AlterField(
            "keyaccountscope",
            "account",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="finta_key_scopes",
                to=settings.FINTA_KEYS_ACCOUNT_MODEL,
            ),
        ),
    ]
