"""Posthouse: mail and mailing lists for communities, in one package.

The path of one posting, station by station (docs/flow.md walks it with what a crash leaves at each step):

    reception/session     a client speaks; each command becomes a question
    routing               RCPT: is this address known, and where does it lead?
    reception/acceptance  content and envelope in one durable transaction; only then 250
    queue                 the mail we answer for: one message, one row per recipient
    delivery/runner       claims what is due, for a while, and records the attempt before it starts
    delivery/dispatch     asks routing where each recipient leads and picks a courier
    lists/posting         the mediator: judge, then hold, or prepare and distribute
    archive/filing        kept, threaded, findable, in the same transaction as the distribution
    queue                 one content and one row per member, by one INSERT ... SELECT
    delivery/couriers     a copy leaves with its own return path; the outcome is durable

The floors (arrows point down only; kept by import-linter):

    __main__ > operations > web > reception | delivery > routing > lists > archive >
    queue | directory | encounters > content > database, wake, maillog, settings >
    configuration > belonging > smtp > authenticity > message | dns > address
"""

__version__ = "0.1.0"
