"""Addresses stand apart from names in the search index: who may not see them must not find by them."""

import re
import unicodedata

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


WORD = re.compile(r"[^\W_]+")
BOUND = r"[^\s<>()\[\],;:\"@]"
ADDRESSED = re.compile(rf"(?<!{BOUND}){BOUND}*+@[^\s<>()\[\],;:\"]*+")
VECTOR = (
    "setweight(to_tsvector('simple', %s), 'A') || setweight(to_tsvector('simple', %s), 'B') || "
    "setweight(to_tsvector('simple', %s), 'C') || to_tsvector('simple', %s) || array_to_tsvector(%s) || "
    "%s::tsvector"
)


def apart(text):
    """(what is no address, what is written with an @)"""
    return ADDRESSED.sub(" ", text), " ".join(ADDRESSED.findall(text))


def plain(letter):
    base = unicodedata.normalize("NFD", letter)[0]
    return base.lower() if len(base.lower()) == 1 else base


def words(text, most):
    text = text[:most]
    if text.isascii():
        return WORD.findall(text.lower())
    return WORD.findall("".join(map(plain, unicodedata.normalize("NFC", text))))


def addresses(author, recipients):
    """A tsvector of the words of addresses, each behind an @; letters and digits need no quoting."""
    placed = [(word, "B") for word in words(author, 20_000) if len(word) <= 200]
    placed += [(word, "C") for word in words(recipients, 20_000) if len(word) <= 200]
    return " ".join(f"'@{word}':{at}{weight}" for at, (word, weight) in enumerate(placed[:16_000], 1))


def separate(apps, editor):
    with editor.connection.cursor() as cursor:
        last = -1
        while rows := chunk(cursor, last):
            last = rows[-1][0]
            if editor.connection.vendor == "postgresql":
                index(cursor, rows)
            else:
                cursor.executemany(
                    "UPDATE archive_text SET author = %s, recipients = %s, author_address = %s, "
                    "recipient_addresses = %s WHERE posting_id = %s",
                    [columns(row) for row in rows],
                )
        if editor.connection.vendor == "sqlite":
            for statement in MAKE:
                cursor.execute(statement)


def chunk(cursor, last):
    cursor.execute(
        "SELECT x.posting_id, x.subject, p.author_name, p.author_address, x.recipients, x.body, x.files, x.scope "
        "FROM archive_text x JOIN archive_posting p ON p.id = x.posting_id "
        "WHERE x.posting_id > %s ORDER BY x.posting_id LIMIT %s",
        [last, AT_ONCE],
    )
    return cursor.fetchall()


def columns(row):
    posting, _, author, address, recipients, *_ = row
    name, more = apart(author)
    names, others = apart(recipients)
    return name, names, f"{address} {more}".strip(), others, posting


def index(cursor, rows):
    changed = []
    for row in rows:
        _, subject, _, _, _, body, files, scope = row
        name, names, own, others, posting = columns(row)
        text = " ".join(words(body, 150_000) + words(files, 20_000))
        vector = (
            " ".join(words(subject, 200_000)), " ".join(words(name, 200_000)), " ".join(words(names, 20_000)), text,
            scope.upper().split(), addresses(own, others),
        )  # fmt: skip
        changed.append((name, names, own, others, *vector, posting))
    cursor.executemany(
        "UPDATE archive_text SET author = %s, recipients = %s, author_address = %s, recipient_addresses = %s, "
        f"search = {VECTOR} WHERE posting_id = %s",
        changed,
    )


class Migration(migrations.Migration):
    dependencies = [("archive", "0005_rendering")]
    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop),
        migrations.AddField("text", "author_address", models.TextField(default="", db_default="")),
        migrations.AddField("text", "recipient_addresses", models.TextField(default="", db_default="")),
        migrations.RunPython(separate, migrations.RunPython.noop),
    ]
