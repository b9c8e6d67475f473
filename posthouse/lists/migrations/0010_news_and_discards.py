import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('content', '0001_first'),
        ('lists', '0009_texts'),
    ]

    operations = [
        migrations.CreateModel(
            name='NewsArticle',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.BigIntegerField()),
                ('newsgroup', models.CharField(max_length=255)),
                ('subject', models.TextField(default='')),
                ('kept_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'lists_newsarticle',
            },
        ),
        migrations.AddField(
            model_name='heldposting',
            name='discarded_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='heldposting',
            name='discarded_by',
            field=models.CharField(blank=True, db_default='', default='', max_length=320),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='encode_ascii_prefixes',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='gateway_to_mail',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='gateway_to_news',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='linked_newsgroup',
            field=models.CharField(blank=True, default='', max_length=255),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='mime_is_default_digest',
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='new_member_options',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='newsgroup_moderation',
            field=models.CharField(default='none', max_length=16),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='nntp_prefix_subject_too',
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='posting_pipeline',
            field=models.CharField(default='default-posting-pipeline', max_length=24),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='scrub_nondigest',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='mailinglist',
            name='usenet_watermark',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name='heldposting',
            index=models.Index(models.F('mailing_list'), models.F('id'), condition=models.Q(('discarded_at__isnull', True)), name='held_on_list'),
        ),
        migrations.AddIndex(
            model_name='heldposting',
            index=models.Index(models.F('discarded_at'), condition=models.Q(('discarded_at__isnull', False)), name='discarded_held'),
        ),
        migrations.AddField(
            model_name='newsarticle',
            name='content',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='content.content'),
        ),
        migrations.AddField(
            model_name='newsarticle',
            name='mailing_list',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='lists.mailinglist'),
        ),
        migrations.AddIndex(
            model_name='newsarticle',
            index=models.Index(models.F('mailing_list'), models.F('id'), name='news_of_list'),
        ),
    ]
