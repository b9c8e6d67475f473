"""Mail arrives: what a client may do here, what leads where, and the moment a message becomes ours.

Read in this order: `station` (what runs), `listeners` (sockets), `session` (the policy of one connection), `login`
(AUTH), `limits` (how many and how much), `evidence` (what a stranger's mail proves of itself), `trace` (what we write
above a message), `acceptance` (durable, then 250), `certificates` (TLS). Who has to come later: `greylisting`
(strangers), `flood` (who sends too much; on `counting`), `pressure` (everybody, while we are behind).
"""
