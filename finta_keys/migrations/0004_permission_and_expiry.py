from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finta_keys", "0003_related_names")]

    operations = [
        migrations.AddField(
            "apikey",
            "read_only",
            models.BooleanField(db_default=False, default=False, verbose_name="read only"),
        ),
        migrations.AddField(
            "apikey",
            "expires_at",
            models.DateTimeField(editable=False, null=True, verbose_name="expires at"),
        ),
    ]
