from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finta_keys", "0001_initial")]

    operations = [
        migrations.AddField("apikey", "scope_edits", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField("apikey", "scope_edited_at", models.DateTimeField(editable=False, null=True)),
    ]
