"""Other mail servers ask us: which addresses exist, and where mail for them goes; answered from routing, or in files.

Read in this order: `answers` (the maps), `conversation` (the protocols), `sockets`, `listening`, `files` (the same as
files that are kept current).
"""
