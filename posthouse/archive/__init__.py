"""What was said: postings kept exactly as they came, in threads, findable the moment they are filed.

Read `models`, `filing` (keep, delete), `threads`, `query` (the words of the search box), `search` (one module per
database), `reading` (what pages show), `importing`, `exporting`.
"""
