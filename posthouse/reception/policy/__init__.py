"""What is done about what was found out: pure functions from facts to a verdict with its reason.

Read in this order: `facts` (everything that may be known), `question` (what a check is), `checks` (each of them),
`decision` (the modes in force and the verdict), `fields` (what is written before a message let in with a remark).
"""
