"""Small builders for tests and examples: they misbehave on request, in every way that an engine has to survive.

Workers are spawned, so a builder must live in an importable module; these do.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import GroupInput, KeyedInput

if TYPE_CHECKING:
    from builders.engine.inputs import Input


class Doubler(IncrementalBuilder):
    """Double a number; the simplest builder.

    A source whose ``mode`` is ``fail``, ``nan``, ``hang``, ``die``, ``large``, ``memory`` or ``wrong type`` does that.
    """

    NAME = "doubler"
    VERSION = 1
    COLLECTION = "doubles"
    PACKAGES = ("pymongo",)
    ITEM_SECONDS = 3.0

    @dataclass(frozen=True)
    class Params:
        """How much to multiply by, and how long to pretend to work."""

        factor: float = 2.0
        pause: float = 0.0

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read ``numbers``."""
        return (KeyedInput("numbers"),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Multiply, or misbehave."""
        source = inputs["numbers"]
        assert isinstance(self.settings, Doubler.Params)
        if self.settings.pause:
            time.sleep(self.settings.pause)
        misbehave(key, source.get("mode"))
        if source.get("mode") == "large":
            return {"value": 0.0, "text": "x" * (17 * 2**20)}
        if source.get("mode") == "nan":
            return {"value": float("nan")}
        return {"value": source["n"] * self.settings.factor}


def misbehave(key: str, mode: str | None) -> None:
    """Do what a source asks for."""
    if mode == "fail":
        raise ValueError(f"{key} was asked to fail")
    if mode == "hang":
        time.sleep(3600)
    if mode == "die":
        os._exit(9)
    if mode == "memory":
        bytearray(64 * 2**30)


class Summer(IncrementalBuilder):
    """Sum the doubles of each group: every change of a member makes the group stale."""

    NAME = "summer"
    VERSION = 1
    COLLECTION = "sums"

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read ``numbers`` by group."""
        return (GroupInput("numbers_derived", group="group"),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Add up."""
        return {"total": float(sum(member["value"] for member in inputs["numbers_derived"]))}


class Grouper(IncrementalBuilder):
    """Copy a number with its group."""

    NAME = "grouper"
    VERSION = 1
    COLLECTION = "numbers_derived"

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read ``numbers``."""
        return (KeyedInput("numbers"),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Copy."""
        source = inputs["numbers"]
        return {"value": float(source["n"]), "group": source["group"]}


class Broken(Doubler):
    """Cannot be made ready."""

    NAME = "broken"
    COLLECTION = "broken"
    SETUPS: ClassVar[int] = 0

    def setup(self) -> Any:
        """Fail."""
        raise OSError("its model file is missing")
