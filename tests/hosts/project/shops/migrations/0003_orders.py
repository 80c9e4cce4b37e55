import django.db.models.deletion
from django.db import migrations, models
from host.variant import key_field


class Migration(migrations.Migration):
    dependencies = [("shops", "0002_shop")]

    operations = [
        migrations.CreateModel(
            "Order",
            [
                ("id", key_field()),
                ("number", models.IntegerField(unique=True)),
                ("shop", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="shops.shop")),
            ],
            options={"ordering": ["number"]},
        ),
        migrations.CreateModel(
            "OrderLine",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("article", models.CharField(max_length=100)),
                ("order", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="shops.order")),
            ],
            options={"ordering": ["pk"]},
        ),
    ]
