"""The mediator: a posting comes in, is judged, then held, or prepared, filed and distributed.

Read `models`, then `posting` (the story), `moderation/` (rules, and what waits), `holding` (what a moderator decides),
`preparation/` (steps), `distribution`, `departure` (what each copy gets as it leaves), `roster`, `subscription`,
`requests` (by mail), `bounces`, `owners`, `notices`; `arrivals` is where delivery hands a list its mail. Acts take
`now` as milliseconds since 1970 UTC.
"""
