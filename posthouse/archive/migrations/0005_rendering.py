from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('archive', '0004_obscured'),
    ]

    operations = [
        migrations.AddField(
            model_name='archive',
            name='rendering',
            field=models.CharField(db_default='text', default='text', max_length=8),
        ),
    ]
