"""What comes back to -bounces, and what follows: counted, delivery stopped, warned, removed, or begun again.

Read `intake` (a message comes) first, then `recognition` (what it says, pure), `scoring` (what it counts), `probing`
(one more letter, to be sure), `stopping` (delivery stops; warnings; removal), `standing` (how a member stands; begin
again), `telling` (what owners and members are told).

Anybody can write a report to a member's VERP address, whose form is fixed. So a report from outside never stops
delivery by itself: it counts once a day, and at the threshold the address is asked by a probe, whose return path
nobody can guess. What our own delivery saw of a copy needs no such proof.
"""

from __future__ import annotations

from posthouse.lists.bounces.intake import take
from posthouse.lists.bounces.standing import Standing, read_restart, restart, standing, standings, why
from posthouse.lists.bounces.stopping import periodic

__all__ = ["Standing", "periodic", "read_restart", "restart", "standing", "standings", "take", "why"]
