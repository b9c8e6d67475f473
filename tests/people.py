"""The same people in every test."""

ANA = "ana@far.example"  # a far member
BEN = "ben@far.example"  # a far member
CLEO = "cleo@near.example"  # a member at another far host
OWEN = "owen@far.example"  # owns lists
EVE = "eve@elsewhere.example"  # a stranger

GARDEN = "garden@lists.example"
DOMAIN = "lists.example"
