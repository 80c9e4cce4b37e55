from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finta_keys", "0005_key_events")]

    operations = [
        migrations.CreateModel(
            name="KeyUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_id", models.UUIDField()),
                ("day", models.DateField()),
                ("source", models.CharField(max_length=64)),
                ("agent", models.CharField(max_length=40)),
                ("requests", models.PositiveBigIntegerField()),
                ("reads", models.PositiveBigIntegerField()),
                ("writes", models.PositiveBigIntegerField()),
                ("refused", models.PositiveBigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["day"], name="finta_keys_key_usage_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key_id", "day", "source", "agent"), name="finta_keys_key_usage_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_id", models.UUIDField()),
                ("account_id", models.CharField(max_length=255)),
                ("day", models.DateField()),
                ("responses", models.PositiveBigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["day"], name="finta_keys_account_usage_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key_id", "account_id", "day"), name="finta_keys_account_usage_unique"
                    )
                ],
            },
        ),
    ]
