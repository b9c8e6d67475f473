"""The search index: FTS5 over archive_text on SQLite, a tsvector with GIN on PostgreSQL."""

from django.db import migrations

# The index keeps no second copy of the text (external content); triggers keep it in step with every insert, update
# and delete, cascades included, so nothing is found a moment longer than it is kept.
SQLITE = """
CREATE VIRTUAL TABLE archive_search USING fts5(
    subject, author, recipients, body, files, scope,
    content='archive_text', content_rowid='posting_id', tokenize='unicode61 remove_diacritics 2');
INSERT INTO archive_search(archive_search, rank) VALUES('rank', 'bm25(8.0, 4.0, 1.0, 1.0, 2.0, 0.0)');
CREATE TRIGGER archive_text_added AFTER INSERT ON archive_text BEGIN
    INSERT INTO archive_search(rowid, subject, author, recipients, body, files, scope)
    VALUES (new.posting_id, new.subject, new.author, new.recipients, new.body, new.files, new.scope);
END;
CREATE TRIGGER archive_text_removed AFTER DELETE ON archive_text BEGIN
    INSERT INTO archive_search(archive_search, rowid, subject, author, recipients, body, files, scope)
    VALUES ('delete', old.posting_id, old.subject, old.author, old.recipients, old.body, old.files, old.scope);
END;
CREATE TRIGGER archive_text_changed AFTER UPDATE ON archive_text BEGIN
    INSERT INTO archive_search(archive_search, rowid, subject, author, recipients, body, files, scope)
    VALUES ('delete', old.posting_id, old.subject, old.author, old.recipients, old.body, old.files, old.scope);
    INSERT INTO archive_search(rowid, subject, author, recipients, body, files, scope)
    VALUES (new.posting_id, new.subject, new.author, new.recipients, new.body, new.files, new.scope);
END;
INSERT INTO archive_search(archive_search) VALUES('rebuild');
"""

# A tsvector stays beside its row, uncompressed up to 4 KB (the body moves out): a common word is found by walking the
# newest rows, and fetching each vector from elsewhere would cost several times the walk.
POSTGRESQL = """
ALTER TABLE archive_text ADD COLUMN search tsvector;
ALTER TABLE archive_text ALTER COLUMN search SET STATISTICS 1000;
ALTER TABLE archive_text ALTER COLUMN search SET STORAGE MAIN;
ALTER TABLE archive_text SET (toast_tuple_target = 4080);
CREATE INDEX archive_text_search ON archive_text USING gin (search);
"""


def _statements(text):
    statement = ""
    for line in text.strip().splitlines():
        statement += line + "\n"
        if line.endswith("END;") or (line.endswith(";") and "BEGIN" not in statement):
            yield statement
            statement = ""


def make(apps, editor):
    for statement in _statements(SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL):
        editor.execute(statement, params=None)


def unmake(apps, editor):
    if editor.connection.vendor == "sqlite":
        for name in ("added", "removed", "changed"):
            editor.execute(f"DROP TRIGGER archive_text_{name}")
        editor.execute("DROP TABLE archive_search")
    else:
        editor.execute("ALTER TABLE archive_text DROP COLUMN search")


class Migration(migrations.Migration):
    dependencies = [("archive", "0002_threads_and_tombstones")]
    operations = [migrations.RunPython(make, unmake)]
