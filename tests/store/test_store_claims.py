"""The rule by which one writer is chosen, held against every order in which drivers can act."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lrstudy.store.claims import Delete, List, Look, Put, Sight, Step, Wait, claim

Names = tuple[str, ...]


@dataclass
class Driver:
    """A driver somewhere in the protocol."""

    name: str
    steps: Generator[Step, Any, str | None]
    step: Step | None
    since_listing: list[Any] = field(default_factory=list)
    won: bool | None = None
    dead: bool = False

    def answer(self, what: Any) -> None:
        self.since_listing = [what] if isinstance(self.step, List) else [*self.since_listing, what]
        try:
            self.step = self.steps.send(what)
        except StopIteration as end:
            self.step, self.won = None, end.value is None


class World:
    """Storage and drivers, brought to a state by a list of moves, from the start each time.

    A move lets one driver do its next step, ends one ("kill"), lets one that holds leave ("leave"), or
    deletes the claim of one that lives, as a driver does that takes it for dead ("mistake"). "unseen" is a
    step that looks at another driver before that has shown that it lives.
    """

    def __init__(self, names: Names, moves: tuple[tuple[str, str], ...]) -> None:
        self.claims: set[str] = set()
        self.held = False
        self.drivers = {}
        for name in names:
            steps = claim(name)
            self.drivers[name] = Driver(name, steps, next(steps))
        for kind, name in moves:
            self.move(kind, self.drivers[name])

    def move(self, kind: str, driver: Driver) -> None:
        if kind == "kill":
            driver.dead = True
        elif kind == "leave":
            self.claims.discard(driver.name)
            driver.won = False
        elif kind == "mistake":
            self.claims.discard(driver.name)
        elif kind == "unseen":
            driver.answer(Sight.SILENT)
        elif driver.step is not None:
            driver.answer(self.do(driver.step))
            self.held |= driver.won is True

    def do(self, step: Step) -> Any:
        match step:
            case Put(name):
                self.claims.add(name)
            case List():
                return sorted(self.claims)
            case Delete(name):
                self.claims.discard(name)
            case Look(name):
                other = self.drivers[name]
                if other.dead:
                    return Sight.DEAD
                return Sight.HOLDS if other.won else Sight.WAITS
            case Wait():
                return None
        return None

    @property
    def holders(self) -> list[str]:
        """The drivers that may write: they won, and their claims are there."""
        return [d.name for d in self.drivers.values() if d.won and not d.dead and d.name in self.claims]

    @property
    def state(self) -> tuple[Any, ...]:
        # What a driver does next follows from its step and what it was told since it last saw the claims.
        drivers = (d for d in self.drivers.values())
        return (
            frozenset(self.claims),
            tuple((d.step, d.dead, d.won, tuple(map(repr, d.since_listing))) for d in drivers),
        )

    def moves(self, kills: int, mistakes: int, *, unseen: bool) -> Iterator[tuple[str, str]]:
        for driver in self.drivers.values():
            if driver.dead:
                continue
            if driver.step is not None:
                yield "step", driver.name
            if unseen and isinstance(driver.step, Look):
                yield "unseen", driver.name
            if driver.won:
                yield "leave", driver.name
            if kills and driver.won is not False:
                yield "kill", driver.name
            if mistakes and driver.name in self.claims:
                yield "mistake", driver.name


def explore(names: Names, kills: int = 0, mistakes: int = 0) -> list[World]:
    """Every state that drivers of these names can come to; the states in which nobody can move any more."""
    known, ends = set(), []
    todo: list[tuple[tuple[tuple[str, str], ...], int, int]] = [((), kills, mistakes)]
    while todo:
        moves, kills_left, mistakes_left = todo.pop()
        world = World(names, moves)
        assert len(world.holders) <= 1, moves
        here = (world.state, kills_left, mistakes_left)
        if here in known:
            continue
        known.add(here)
        nexts = list(world.moves(kills_left, mistakes_left, unseen=len(names) < 3))
        if all(kind == "leave" for kind, _ in nexts):
            ends.append(world)
        for kind, name in nexts:
            left = (kills_left - (kind == "kill"), mistakes_left - (kind == "mistake"))
            todo.append(((*moves, (kind, name)), *left))
    assert len(known) > 50
    return ends


@pytest.mark.parametrize(
    ("names", "kills", "mistakes"),
    [
        (("a", "b"), 2, 2),
        (("b", "a"), 2, 2),
        (("a", "b", "c"), 0, 1),
        (("a", "b", "c"), 1, 0),
    ],
)
def test_no_order_of_steps_kills_and_mistakes_gives_two_holders(
    names: Names, kills: int, mistakes: int
) -> None:
    explore(names, kills, mistakes)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_when_all_have_come_to_an_end_somebody_has_held_the_store(names: Names) -> None:
    for world in explore(names):
        assert world.held
        assert world.claims == set(world.holders)


def run(world: World, name: str) -> bool | None:
    """Let one driver act until it has come to an end, or has waited a few times for nothing."""
    driver, waits = world.drivers[name], 0
    while driver.step is not None and waits < 3:
        waits += isinstance(driver.step, Wait)
        world.move("step", driver)
    return driver.won


def test_a_holder_is_not_disturbed_and_its_end_frees_the_store() -> None:
    world = World(("m", "a", "z"), ())
    assert run(world, "m")
    assert run(world, "a") is False  # though its name comes first
    assert world.holders == ["m"]
    world.move("leave", world.drivers["m"])
    assert run(world, "z")


def test_a_dead_holder_is_replaced() -> None:
    world = World(("a", "b"), ())
    assert run(world, "a")
    world.move("kill", world.drivers["a"])
    assert run(world, "b")
    assert world.claims == {"b"}


def test_a_driver_that_was_taken_for_dead_gives_way() -> None:
    world = World(("a",), ())
    world.move("step", world.drivers["a"])
    world.move("mistake", world.drivers["a"])
    assert run(world, "a") is False


def test_of_two_that_wait_the_first_name_gets_the_store() -> None:
    world = World(("a", "b"), ())
    for name in ("b", "a"):
        world.move("step", world.drivers[name])  # both claims are there before anybody looks
    assert run(world, "a") is None  # waits for the other to give way
    assert run(world, "b") is False
    world.move("step", world.drivers["a"])
    assert run(world, "a")
