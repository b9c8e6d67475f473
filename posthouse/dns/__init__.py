"""Looking names up, asynchronously and within bounds.

Read `lookups` (the questions and how they can fail), `cache` (bounded, obeys TTLs), `resolver` (asks real nameservers),
`noting` (what DNSSEC proved), `mail_hosts` (who takes a domain's mail), `networks` (sets of addresses, and
our own), `codes` (of DNS lists), `zone` (fixed answers, for tests and the local trial) and
`zone_server` (serves such a zone over UDP and TCP).
"""
