"""Judging a posting and keeping back what a person must decide.

Read `case` (what the rules look at), `rules` (the questions, in order), `hold` (a posting waits, people are told).
"""
