"""Mail leaves, or comes home: claimed deliveries are carried to where they lead, and every outcome is made durable.

Read in this order: `runner` (claims, groups, wakes), `begun` (what a kill counts for), `dispatch` (which courier),
`couriers/` (remote, mailing_list, expansion, outbox), `lane` (all connections to one next hop), `mx` (which addresses),
`transport_security`, `trouble` (what every failure means), `contents` (what is sent, read once), `recorder` (outcomes,
many to a commit).
"""
