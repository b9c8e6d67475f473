"""Who was met at the door: what several hosts must remember together of clients, senders and recipients.

Each act has a module of its own beside `models`: greylisting, counts (floods), standing (reputation), verification
(addresses that were asked for elsewhere). Everything here may be forgotten without losing mail.
"""
