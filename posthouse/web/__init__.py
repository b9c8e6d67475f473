"""The only floor that knows HTTP: pages, feeds and forms over the acts of the rooms below.

Read `urls` (what exists), `access` (every permission), then `views/`, one module per area.
"""
