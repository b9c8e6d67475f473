"""What is done about what was found out: pure functions from facts to a verdict with its reason.

Read in this order: `facts` (everything that may be known), `checks` (each question), `decision` (the modes in force
and the verdict), `fields` (what is written before a message that was let in with a remark).
"""
