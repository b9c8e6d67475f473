"""Who was met at the door: what several hosts must remember together of clients, senders and recipients.

Each act has a module of its own beside `models`: greylisting and strangers (an operator's view of it), counts (floods),
familiarity (from where accounts are used), standing (reputation), verification (addresses that were asked for
elsewhere); sweeping removes what is over. Everything here may be forgotten without losing mail.
"""
