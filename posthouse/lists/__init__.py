"""The mediator: a posting comes in, is judged, then held, or prepared, filed and distributed.

Read `models`, then `posting` (the story), `moderation/` (rules), `holding`, `preparation/` (steps), `distribution`,
`departure` (what each copy gets as it leaves), `roster`, `subscription`, `requests` (by mail), `bounces`, `notices`.
"""
