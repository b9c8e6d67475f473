"""Running the house: the command line, the supervisor and its roles, the trial system, the documentation from the code.

Read `cli` (what can be said), `commands/` (one module per noun), `supervisor` (one process per role), `trial`,
`doctor/` (what is wrong around us).
"""
