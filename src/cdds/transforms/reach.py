"""Reaches the values of a record that a path names, and keeps all others as they were written.

Place: between the rules and the members of a record. Only what lies on the way is opened, and what
was opened in vain is left closed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final, TypeAlias

from cdds.members import Members, Node, opened
from cdds.transforms.paths import ANY, Step, Steps


class _Gone(enum.Enum):
    GONE = enum.auto()


GONE: Final = _Gone.GONE
"""What a change returns in place of a value that shall not be there."""

Change: TypeAlias = Callable[[Node], Any]
"""Returns a value's new node, the same node to leave it, or `GONE`."""


def reaching(steps: Steps, change: Change) -> Callable[[Members], bool]:
    """Return the function that changes the values of a record at a path, as `change_at` does."""
    first = steps[0]
    if len(steps) > 1 or first is ANY:
        return lambda record: (first is ANY or first in record) and change_at(record, steps, change)

    def change_member(record: Members) -> bool:
        node = record.get(first)
        new = node if node is None else change(node)
        if new is node:
            return False
        if new is GONE:
            del record[first]
        else:
            record[first] = new
        return True

    return change_member


def change_at(container: Members | list[Node], steps: Steps, change: Change) -> bool:
    """Change the values below a container in place, and return whether there was any change."""
    step, rest = steps[0], steps[1:]
    through = isinstance(container, list) and step is not ANY
    below = steps if through else rest
    gone, changed = [], False
    for place in _places(container, ANY if through else step):
        node = container[place]
        new = _changed_below(node, below, change) if below else change(node)
        if new is GONE:
            gone.append(place)
        elif new is not node:
            container[place] = new
            changed = True
    for place in reversed(gone):
        del container[place]
    return changed or bool(gone)


def _places(container: Any, step: Step) -> Iterator[Any]:
    if isinstance(container, list):
        yield from range(len(container))
    elif step is ANY:
        yield from list(container)
    elif step in container:
        yield step


def _changed_below(node: Node, steps: Steps, change: Change) -> Node:
    inner = opened(node)
    if inner is not None and change_at(inner, steps, change):
        return inner
    return node


class Kept:
    """Which members are kept: a tree of steps, in which a leaf takes all that is below."""

    def __init__(self, paths: tuple[Steps, ...]) -> None:
        self._paths = paths
        self.members: dict[Step, Kept] = {}
        self.is_leaf = any(not steps for steps in paths)
        for first in dict.fromkeys(steps[0] for steps in paths if steps):
            rests = tuple(steps[1:] for steps in paths if steps and steps[0] in {first, ANY})
            self.members[first] = Kept(rests)

    def of(self, name: Step) -> Kept | None:
        """Return what is kept of a member; None if nothing is."""
        return self.members.get(name) or self.members.get(ANY)

    @cached_property
    def elements(self) -> Kept:
        """What is kept of each element of an array in the way, through which names reach."""
        if ANY not in self.members:
            return self
        return Kept(tuple(steps[1:] if steps[:1] == (ANY,) else steps for steps in self._paths))


def keep(container: Members | list[Node], kept: Kept) -> bool:
    """Take out in place all that is not kept, and return whether there was any."""
    if isinstance(container, list):
        return _keep_each(container, list(range(len(container))), lambda _: kept.elements)
    return _keep_each(container, list(container), kept.of)


def _keep_each(container: Any, places: list[Any], of: Callable[[Any], Kept | None]) -> bool:
    changed = False
    for place in reversed(places):
        kept = of(place)
        if kept is not None and kept.is_leaf:
            continue
        inner = None if kept is None else opened(container[place])
        if kept is None or inner is None:
            del container[place]
            changed = True
        elif keep(inner, kept):
            container[place] = inner
            changed = True
    return changed
