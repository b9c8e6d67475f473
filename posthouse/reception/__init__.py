"""Mail arrives: what a client may do here, what leads where, and the moment a message becomes ours.

Read in this order: `station` (what runs), `listeners` (sockets), `desk` (what connections share), `session` (one
connection), `transaction` (one envelope), `handover` (one content), `share` (recipients who are treated alike),
`acceptance` (durable, then 250), `trace` (what we write above a message).

Who is at the door: `gathering` (what has to be found out, and when), `informants` and `sources` (who can be asked:
`evidence`, `blocklists`, `names`, `callouts`, `greylisting`, `flood`, `acquaintance`, `reputation`, `scanners`,
`content_checks`), `policy` (what is done about it, pure), `tally` (how often), `trying` (the same for an operator).

`login` and `rights` (AUTH), `limits`, `crowd` and `pressure` (how many and how much), `certificates` (TLS), `front`
(questions of mail servers before us).
"""
