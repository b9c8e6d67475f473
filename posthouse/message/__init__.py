"""The formats of mail, without database or network: read what came, edit it by bytes, write what we say ourselves.

Read in this order: envelope (who answers for it), headers and words (fields in place), identity and dates, text
(charsets, HTML, flowed lines), mime (the tree of parts), parsing (everything filing needs, in one pass), mbox
(many messages in one file), rewrite (what a list changes), compose and report (what we write: notices and DSNs).
"""
