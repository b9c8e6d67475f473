"""Who is here: domains, accounts and their addresses.

Read `models`, then `domains`, `accounts` (create, sign-in links, passwords).
"""
