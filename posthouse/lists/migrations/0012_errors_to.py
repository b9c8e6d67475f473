from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('lists', '0011_archive_download'),
    ]

    operations = [
        migrations.AddField(
            model_name='mailinglist',
            name='include_errors_to',
            field=models.BooleanField(default=False),
        ),
    ]
