import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("directory", "0003_primary_address")]

    operations = [
        migrations.CreateModel(
            name="Alias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("local_part", models.CharField(max_length=255)),
                ("targets", models.TextField()),
                ("note", models.CharField(blank=True, default="", max_length=255)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "domain",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="directory.domain"),
                ),
            ],
            options={
                "db_table": "directory_alias",
                "constraints": [
                    models.UniqueConstraint(fields=("domain", "local_part"), name="alias_once"),
                ],
            },
        ),
    ]
