"""Where an address leads: to a list, to people, to another host, or nowhere with a reason.

Read in this order: `destination` (the possible answers), `precedence` (the decision, one switch read top to bottom),
`places` (what each line of the switch asks), `expanding` (an alias and all it comes to), `lookups/` (databases of
others), `explanation` (the same in words), `router` (the decision remembered, for reception's hot path), `lint` (what
is wrong with the aliases).
"""

from posthouse.routing.destination import (
    Destination,
    Refused,
    ToAddresses,
    ToList,
    ToNowhere,
    ToPipe,
    ToRelay,
    ToRemote,
    return_path_refusal,
)
from posthouse.routing.explanation import Way, explain, ways
from posthouse.routing.precedence import route
from posthouse.routing.primary import primary_here
from posthouse.routing.router import Router

__all__ = [
    "Destination",
    "Refused",
    "Router",
    "ToAddresses",
    "ToList",
    "ToNowhere",
    "ToPipe",
    "ToRelay",
    "ToRemote",
    "Way",
    "explain",
    "primary_here",
    "return_path_refusal",
    "route",
    "ways",
]
