"""Addresses stand apart from names in the search index: who may not see them must not find by them."""

from django.db import migrations, models

# As in 0003, with the columns of addresses.
COLUMNS = "subject, author, recipients, body, files, scope, author_address, recipient_addresses"
OLD = ", ".join(f"old.{name}" for name in COLUMNS.split(", "))
NEW = ", ".join(f"new.{name}" for name in COLUMNS.split(", "))
FORGET = [
    "DROP TRIGGER IF EXISTS archive_text_added",
    "DROP TRIGGER IF EXISTS archive_text_removed",
    "DROP TRIGGER IF EXISTS archive_text_changed",
    "DROP TABLE IF EXISTS archive_search",
]
MAKE = [
    f"CREATE VIRTUAL TABLE archive_search USING fts5({COLUMNS}, content='archive_text', content_rowid='posting_id', "
    "tokenize='unicode61 remove_diacritics 2')",
    "INSERT INTO archive_search(archive_search, rank) VALUES('rank', 'bm25(8.0, 4.0, 1.0, 1.0, 2.0, 0.0, 4.0, 1.0)')",
    "CREATE TRIGGER archive_text_added AFTER INSERT ON archive_text BEGIN "
    f"INSERT INTO archive_search(rowid, {COLUMNS}) VALUES (new.posting_id, {NEW}); END",
    "CREATE TRIGGER archive_text_removed AFTER DELETE ON archive_text BEGIN "
    f"INSERT INTO archive_search(archive_search, rowid, {COLUMNS}) VALUES ('delete', old.posting_id, {OLD}); END",
    "CREATE TRIGGER archive_text_changed AFTER UPDATE ON archive_text BEGIN "
    f"INSERT INTO archive_search(archive_search, rowid, {COLUMNS}) VALUES ('delete', old.posting_id, {OLD}); "
    f"INSERT INTO archive_search(rowid, {COLUMNS}) VALUES (new.posting_id, {NEW}); END",
    "INSERT INTO archive_search(archive_search) VALUES('rebuild')",
]
AT_ONCE = 500


def forget(apps, editor):
    """SQLite: the index goes before the table changes, so that a million rows do not change it one by one."""
    if editor.connection.vendor == "sqlite":
        for statement in FORGET:
            editor.execute(statement, params=None)


def separate(apps, editor):
    from posthouse.archive import search_postgresql
    from posthouse.archive.folding import apart
    from posthouse.archive.search import Text

    with editor.connection.cursor() as cursor:
        last = -1
        while True:
            cursor.execute(
                "SELECT x.posting_id, x.subject, p.author_name, p.author_address, x.recipients, x.body, x.files, "
                "x.scope FROM archive_text x JOIN archive_posting p ON p.id = x.posting_id "
                "WHERE x.posting_id > %s ORDER BY x.posting_id LIMIT %s",
                [last, AT_ONCE],
            )
            rows = cursor.fetchall()
            if not rows:
                break
            texts = []
            for posting, subject, author, address, recipients, body, files, scope in rows:
                name, more = apart(author)
                names, addresses = apart(recipients)
                own = f"{address} {more}".strip()
                texts.append(Text(posting, subject, name, names, body, files, scope, own, addresses))
            if editor.connection.vendor == "postgresql":
                search_postgresql.again(cursor, texts)
            else:
                cursor.executemany(
                    "UPDATE archive_text SET author = %s, recipients = %s, author_address = %s, "
                    "recipient_addresses = %s WHERE posting_id = %s",
                    [(one.author, one.recipients, one.author_address, one.recipient_addresses, one.posting)
                     for one in texts],
                )
            last = rows[-1][0]
        if editor.connection.vendor == "sqlite":
            for statement in MAKE:
                cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("archive", "0005_rendering")]
    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop),
        migrations.AddField("text", "author_address", models.TextField(default="", db_default="")),
        migrations.AddField("text", "recipient_addresses", models.TextField(default="", db_default="")),
        migrations.RunPython(separate, migrations.RunPython.noop),
    ]
