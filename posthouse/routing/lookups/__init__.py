"""Lookups in databases of others: SQL, LDAP, cdb, flat files; servers asked in turn, never on the event loop.

Read in this order: `answer` (what comes back), `desk` (who is asked, deadlines, memory), `sources` (the kinds), `sql`,
`directories` (LDAP), `files` (cdb and flat).
"""
