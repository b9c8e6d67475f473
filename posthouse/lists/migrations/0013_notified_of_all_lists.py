from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('lists', '0012_errors_to'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='notified',
            name='notified_of',
        ),
        migrations.AddIndex(
            model_name='notified',
            index=models.Index(models.F('address'), models.F('mailing_list'), models.F('at'), name='notified_to'),
        ),
    ]
