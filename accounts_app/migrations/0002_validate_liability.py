from django.db import migrations, models

import accounts_app.validators


class Migration(migrations.Migration):
    dependencies = [("accounts_app", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="account",
            name="liability",
            field=models.JSONField(blank=True, null=True, validators=[accounts_app.validators.validate_liability]),
        ),
    ]
