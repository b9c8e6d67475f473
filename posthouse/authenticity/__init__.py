"""Who sent this: evidence, never a decision; the DNS is an argument.

Every check is asynchronous, takes a `Lookups` and a `deadline` (a moment of the running event loop's clock), returns a
frozen dataclass and raises nothing: what cannot be found out for now is "temperror".

Read in this order: `spf_record` (a published policy), `spf_macros`, `spf_evaluation`, `spf` (may this client use it?);
`tags`, `canonical` (what is hashed, as a stream), `keys` (public keys in the DNS), `signature` (what one claims),
`dkim` (is it true?), `dkim_signing`.
"""
