"""Programs that look at what strangers send: asked in the order of the file, each with a deadline, none trusted to
be there. Read in this order: `scanning` (who is asked), `letter` (what they see and edit), `wire` (how they are
reached), `spamd`, `rspamd` over `http`, `clamav`, `escort` and `milter` (with `milter_macros`,
`milter_content` and `wishes`) over `milter_wire`, `marking` (what stays).
"""

from __future__ import annotations

from posthouse.reception.scanners.escort import Escort
from posthouse.reception.scanners.marking import Finished, fields, finished, words
from posthouse.reception.scanners.scanning import Scanners

__all__ = ["Escort", "Finished", "Scanners", "fields", "finished", "words"]
