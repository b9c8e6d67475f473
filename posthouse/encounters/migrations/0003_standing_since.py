"""Since when good was seen of a network or domain: who was here before a flood began is not held back for it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("encounters", "0002_others")]

    operations = [
        migrations.AddField(model_name="standing", name="since", field=models.BigIntegerField(default=0)),
    ]
