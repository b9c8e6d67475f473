"""The gateway between lists and newsgroups: postings become articles, articles become postings.

Read it in this order: `article` (what changes on the way, pure), `client` (NNTP), `outgoing` (what waits for the
server, posted in order), `incoming` (what is new there, with a mark that is kept), `visits` (the periodic work).
"""
