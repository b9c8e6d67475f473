"""The exact bytes of messages, by digest: small ones in the database, large ones as files.

Read `models`, then `keeping` (keep, read, release), then `spool` (bytes on their way in).
"""
