"""Who is here: domains, accounts and their addresses.

Read `models`, then `domains`, `addresses` (one row for every spelling), `accounts` (create, sign-in links,
passwords). Acts take `now` as milliseconds since 1970 UTC.
"""
