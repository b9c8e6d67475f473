"""One question where an address leads, while it is answered: whom it may ask, what was asked, and the way so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from posthouse.address import Address
from posthouse.directory.alias_syntax import Target
from posthouse.routing.lookups.answer import Answer

MOST_EXPANSIONS = 2000  # aliases looked at for one address
DEEPEST = 20  # aliases of aliases


@dataclass(frozen=True, slots=True)
class Step:
    """A place that was asked about an address, and what it answered, in words."""

    address: str
    place: str
    answer: str


Ask = Callable[[str, Address], Answer]  # asks the lookup of this name; raises LookupTrouble, or Unasked


def nobody(name: str, wanted: Address) -> Answer:
    """For inquiries that may ask no lookup."""
    return Answer.of(())


@dataclass(slots=True)
class Inquiry:
    """`memorable`: the answer stays true until the directory or the domain's alias file (`file_stamp`) changes.

    `steps` are kept where somebody wants to read them.
    """

    ask: Ask
    steps: list[Step] | None = None
    memorable: bool = True
    file_stamp: tuple[int, int, int, int] | None = None
    expansions: int = 0
    loops: list[str] = field(default_factory=list)  # aliases that led back to themselves
    ours_too: frozenset[str] = frozenset()  # domains that are ours though nobody listed them (their MX leads here)
    database: dict[str, dict[str, tuple[Target, ...]]] = field(default_factory=dict)  # what it said, by address
    _way: list[str] = field(default_factory=list)

    def tell(self, wanted: Address, place: str, answer: str) -> None:
        """Note that a place was asked."""
        if self.steps is not None:
            self.steps.append(Step(str(wanted), place, answer))

    @property
    def first(self) -> bool:
        """Whether the address that was asked about is looked at, and not one that it leads to."""
        return not self._way

    def leads_back(self, alias: str) -> bool:
        """Whether this alias was taken on the way here."""
        if alias not in self._way:
            return False
        self.loops.append(alias)
        return True

    @property
    def too_deep(self) -> bool:
        """Whether there are more aliases than anybody means."""
        return len(self._way) >= DEEPEST or self.expansions > MOST_EXPANSIONS

    @contextmanager
    def through(self, alias: str) -> Iterator[None]:
        """Go on from an alias."""
        self._way.append(alias)
        self.expansions += 1
        try:
            yield
        finally:
            self._way.pop()
