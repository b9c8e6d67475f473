import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("directory", "0004_alias")]

    operations = [
        migrations.CreateModel(
            name="SenderRight",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=320)),
                (
                    "account",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="directory.account"),
                ),
            ],
            options={
                "db_table": "directory_senderright",
                "constraints": [models.UniqueConstraint(fields=("account", "name"), name="sender_right_once")],
            },
        ),
    ]
