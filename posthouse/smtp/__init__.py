"""SMTP and LMTP, both sides: the language itself, without settings, database or policy.

Read in this order: ``reply`` and ``catalogue`` (what we say), ``path`` and ``command`` (what clients say), ``data``
(the CRLF law), ``session`` (what a server asks of its policy), ``keywords`` (EHLO), ``connection`` (bytes, time and
order), ``content`` and ``receiving`` (DATA and BDAT), ``authentication`` (AUTH), ``server`` (one connection); then, for
the way out, ``outgoing`` (one transaction and its result), ``encryption`` (TLS) and ``client``.
"""
