"""What is wrong around us that no setting shows: findings, each with an id, a sentence and a hint.

Read `finding` (what one is), `names` (what the DNS says of this host and its domains), `reach` (whether mail
can leave).
"""
