"""Use-case: voids and channels of an ion in a crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from api.usecases.asks import Ask, Ion, MaybeId
from api.usecases.crystals import asked_crystal
from api.usecases.registry import Answer, UseCase, register
from api.usecases.replies import Envelope, Reply

if TYPE_CHECKING:
    from api.service import Service
    from api.usecases.registry import Upload


class ChannelsAsk(Ask):
    """In which crystal, of which ion, how wide."""

    id: MaybeId = None
    ion: Ion = None
    threshold: Annotated[
        float | None,
        Field(
            description="Channel radius that the ion needs, Å; by default that of ion and anion in the table of thresholds.",
            gt=0,
            lt=10,
            allow_inf_nan=False,
        ),
    ] = None


class Threshold(Reply):
    """Radii that the ion needs."""

    r_chan: float = Field(description="Of a channel, Å.")
    r_sd: float = Field(description="Of a void, Å.")
    source: str
    n: int = Field(description="Structures that it was measured on.")


class HopPercolation(Reply):
    """How far hops alone lead."""

    radii: list[float] = Field(description="In one, two and three directions, Å.")
    directions: list[Any]


class ChannelsData(Reply):
    """Voids and channels."""

    name: str
    formula: str
    ion: str
    anion: str | None
    insertion: bool = Field(description="Whether the crystal holds none of the ion: then hops lead between its voids.")
    r1: float = Field(description="Widest radius at which the ion travels without end, Å.")
    r2: float = Field(description="The same in two independent directions, Å.")
    r3: float = Field(description="The same in three independent directions, Å.")
    directions: list[Any] = Field(description="Vectors of travel for r1, r2 and r3, in cell vectors.")
    threshold: Threshold
    dimension: int = Field(description="Directions in which the ion travels at the threshold, 0 to 3.")
    hop_percolation: HopPercolation
    lattice: list[list[float]] = Field(description="Rows are the cell's vectors, Å.")
    sites: list[dict[str, Any]] = Field(description="Sites of the ion.")
    hops: list[dict[str, Any]] = Field(description="Hops between ion sites, one of each symmetry class.")
    voids: list[dict[str, Any]]
    passages: list[dict[str, Any]] = Field(description="Channels between voids.")
    flags: list[dict[str, Any]] = Field(description="Doubts about the analysis, with reasons.")
    certificate: dict[str, Any] = Field(description="That the partition of space is a sound one.")
    units: dict[str, str] = Field(description="Units of the keys.")
    meanings: dict[str, str] = Field(description="Meanings of the keys.")


class ChannelsReply(Envelope):
    """Voids and channels of an ion in a crystal."""

    data: ChannelsData


def channels(service: Service, ask: ChannelsAsk, upload: Upload | None = None) -> Answer:
    """Find the voids and channels that a crystal offers an ion: percolation radii, dimension, hops, bottlenecks."""
    from dataclasses import replace

    from api.channels import channels as find

    name, crystal = asked_crystal(service, ask.id, upload)
    report = find(crystal, ask.ion, threshold=ask.threshold, service=lambda: service)
    return Answer(replace(report, name=name).to_dict())


register(
    UseCase(
        "channels",
        "Voids and channels of an ion",
        ChannelsAsk,
        ChannelsReply,
        channels,
        cost="compute",
        scope="compute",
        upload=True,
        isolated=True,
        tag="Predictions",
    )
)
