"""The mail we answer for: one message, one delivery per recipient, each claimed for a while and done when its outcome
is durable.

Read `models` (the states), `enqueue` (now it is ours), `claim`, `outcome`, `backoff` (when to try again), `returning`
(DSNs), `suspension` (a destination as a whole), `sweep` (after a crash), `trace` (what happened).
"""
