"""Who sent this: SPF, DKIM, ARC and DMARC as evidence, never as a decision; the DNS is an argument.

Every check is asynchronous, takes a `Lookups` and a `deadline` (a moment of the running event loop's clock), returns a
frozen dataclass and raises nothing: what cannot be found out for now is "temperror".

Read in this order: `names`; `spf_record` (a published policy), `spf_macros`, `spf_evaluation`, `spf` (may this client
use the name?); `tags`, `canonical` (what is hashed, as a stream), `keys` (public keys in the DNS), `signature` (what
one claims), `dkim` (is it true?), `dkim_signing`; `arc_chain`, `arc` (what did earlier handlers find?), `arc_sealing`;
`dmarc_record`, `dmarc_walk`, `dmarc` (does any of it speak for the author?); `results` (all of it in one header field,
RFC 8601).
"""
