import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from host.variant import key_field


class Migration(migrations.Migration):
    dependencies = [("shops", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    run_before = [("finta_keys", "0001_initial")]

    operations = [
        migrations.CreateModel(
            "Shop",
            [
                ("id", key_field()),
                ("name", models.CharField(max_length=100)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shops",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("town", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="shops.town")),
            ],
            options={"ordering": ["name"]},
        ),
    ]
