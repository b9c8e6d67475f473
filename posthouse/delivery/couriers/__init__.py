"""Couriers carry one delivery to where it leads: `remote` over SMTP, `mailing_list` and `expansion` within the house,
`outbox` in trial mode, where nothing leaves the machine.
"""
