"""What changed in a graph since a reader last looked."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

Element = dict[str, Any]
Kind = Literal["nodes", "edges", "lanes"]


@dataclass(frozen=True, slots=True)
class Delta:
    """Upserts: each element replaces the one of the same `id`; nothing is ever taken away.

    Attributes:
        seq: State of the graph after this delta; ask for what follows with it.
        nodes: New or changed nodes, in the order they changed.
        edges: New or changed edges.
        lanes: New or changed lanes.
    """

    seq: int
    nodes: list[Element] = field(default_factory=list[Element])
    edges: list[Element] = field(default_factory=list[Element])
    lanes: list[Element] = field(default_factory=list[Element])

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.nodes or self.edges or self.lanes)


class Elements:
    """The elements of a graph with the order in which they last changed.

    A slow reader costs nothing: it names the state it has and gets one delta with the newest
    version of whatever changed since.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._current: dict[Kind, dict[str, Element]] = {"nodes": {}, "edges": {}, "lanes": {}}
        self._changed: OrderedDict[tuple[Kind, str], int] = OrderedDict()

    def get(self, kind: Kind, element_id: str) -> Element | None:
        """The newest version of an element, or None."""
        return self._current[kind].get(element_id)

    def all(self, kind: Kind) -> dict[str, Element]:
        """Every element of a kind by id, in order of creation; not to be changed."""
        return self._current[kind]

    def put(self, kind: Kind, element: Element) -> None:
        """Add or replace an element; nothing happens when it is the same."""
        key = element["id"]
        if self._current[kind].get(key) == element:
            return
        self.seq += 1
        self._current[kind][key] = element
        self._changed[kind, key] = self.seq
        self._changed.move_to_end((kind, key))

    def since(self, seq: int) -> Delta:
        """What changed after the state `seq`; 0 gives everything."""
        found: dict[Kind, list[Element]] = {"nodes": [], "edges": [], "lanes": []}
        for (kind, key), changed in reversed(self._changed.items()):
            if changed <= seq:
                break
            found[kind].append(self._current[kind][key])
        for elements in found.values():
            elements.reverse()
        return Delta(self.seq, found["nodes"], found["edges"], found["lanes"])
