"""ChannelBuilder: ``structures`` -> ``channels``, one document a structure and ion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builders.channels.pairs import KeysOfIons, amounts_of, is_analysed, key_of, read_ions, split_key, wanted_ions
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import RAW
from store.ion_fields import IONS, WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from pymongo.database import Database

    from builders.channels.thresholds import Threshold
    from builders.engine.inputs import Fetched, Input, StampTables
    from builders.engine.plan import Plan

INSERTION: Final = ":insertion"
"""Stands behind the hash of a structure that is analysed as a host: the request lives on in the document's own stamp."""

SECONDS_EACH: Final = 0.015
"""What one document takes on one core, s: for estimates only."""


@dataclass(frozen=True)
class PairInput:
    """The structure of each pair of structure and ion; the target's key is ``<structure>/<ion>``.

    Keys are the pairs that are wanted, and those that have a document already and still could be made: a smaller choice
    of ions neither removes nor neglects what there is.

    Attributes
    ----------
    ions : tuple of str
        Wanted wherever a structure holds them.
    insert : tuple of str
        Wanted in the hosts too, which hold none of them.
    hosts : collection of str
        Structures.
    """

    ions: tuple[str, ...] = WORKING_IONS
    insert: tuple[str, ...] = ()
    hosts: Collection[str] = frozenset()
    collection: str = "structures"
    role: str = "structures"
    required: bool = True
    target: str = "channels"
    group: str = "chemical_formula_reduced"

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each pair to the hash of its structure, marked where the structure is a host."""
        rows = tables.derived(self.collection, group=self.group)
        wanted: dict[str, list[str]] = {}
        found: dict[str, str] = {}
        for material, row in rows.items():
            formula = row.group
            ions = wanted.get(formula)
            if ions is None:
                elements = amounts_of(formula)
                ions = wanted[formula] = [
                    "/" + ion for ion in self.ions if ion in elements and is_analysed(formula, ion)
                ]
            for ion in ions:
                found[material + ion] = row.hash
        for key, kept in tables.derived(self.target).items():
            if key not in found:
                material, ion = split_key(key)
                if material in rows and (made := self._again(rows[material], ion, kept.recipe)):
                    found[key] = made
        for material in self.hosts:
            if material in rows:
                formula = rows[material].group
                for ion in self.insert:
                    if ion not in amounts_of(formula) and is_analysed(formula, ion):
                        found[key_of(material, ion)] = rows[material].hash + INSERTION
        return found

    def _again(self, row: Any, ion: str, recipe: str) -> str | None:
        """Hash for a document that is there though nobody asks for it now; None if it should not be there any more."""
        if not is_analysed(row.group, ion):
            return None
        if ion in amounts_of(row.group):
            return str(row.hash)
        return row.hash + INSERTION if recipe.endswith(INSERTION) else None

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the primitive cells, each once however many ions it is analysed for."""
        materials = {key: split_key(key)[0] for key in keys}
        query = {"_id": {"$in": list(set(materials.values()))}}
        documents = database[self.collection].with_options(codec_options=RAW)
        found = {each["_id"]: bytes(each.raw) for each in documents.find(query, {"primitive": 1})}
        return {key: found[material] for key, material in materials.items() if material in found}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the pairs of some structures."""
        wanted = set(materials)
        return {key for key in self.hashes(tables) if split_key(key)[0] in wanted}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the structure of a pair."""
        return [split_key(key)[0]]


class OfIonsBuilder(IncrementalBuilder):
    """A builder of documents of a structure and an ion: with named ions it looks at these alone.

    The choice of ions is a selection and no parameter: it makes nothing stale, and what was made before stays.
    """

    @dataclass(frozen=True)
    class Selection:
        """Which ions are looked at; None: all there are."""

        ions: tuple[str, ...] | None = None

    def looked_at(self) -> Collection[str] | None:
        """Return the ions that are named; None: all are looked at."""
        assert isinstance(self.wanted, OfIonsBuilder.Selection)
        return None if self.wanted.ions is None else read_ions(self.wanted.ions)

    def plan(self, tables: StampTables, *, only: Container[str] | None = None, retry_failed: bool = False) -> Plan:
        """Find out what a build would do; with named ions, at these alone."""
        ions = self.looked_at()
        if ions is not None:
            only = KeysOfIons(ions, self.keys if only is None else only)
        return super().plan(tables, only=only, retry_failed=retry_failed)


class PairBuilder(OfIonsBuilder):
    """A builder that makes documents for pairs of structure and ion (:class:`PairInput`)."""

    @dataclass(frozen=True)
    class Selection(OfIonsBuilder.Selection):
        """Which pairs of structure and ion are wanted.

        Attributes
        ----------
        ions : tuple of str or None
            Only these are looked at, and made where they are missing. None: the usual ones are made where they are
            missing, and everything that is there is kept up to date.
        usual : tuple of str or None
            By default those of the setting IONATLAS_CHANNEL_IONS.
        """

        usual: tuple[str, ...] | None = None

    def ions(self) -> tuple[str, ...]:
        """Return the ions that documents are made for where they are missing."""
        assert isinstance(self.wanted, PairBuilder.Selection)
        return wanted_ions(self.wanted.ions or self.wanted.usual)


class ChannelBuilder(PairBuilder):
    """Find the voids and channels that each structure offers the ions it holds, and those it was asked to take in.

    The choice of ions and hosts is a selection and no parameter: it makes nothing stale, and what was made before stays and
    is kept up to date.

    Examples
    --------
    >>> ChannelBuilder(selection={"ions": ["Li"]}).params_hash == ChannelBuilder().params_hash
    True
    """

    NAME = "channels"
    VERSION = 2
    COLLECTION = "channels"
    PACKAGES = ("moyopy", "numpy", "scipy")
    ITEM_SECONDS = 300.0
    BATCH = 8

    @dataclass(frozen=True)
    class Params:
        """Distances of :class:`builders.channels.analysis.Options` in Å, and the identity of the table of thresholds."""

        merge_distance: float = 0.5
        merge_diameter: float = 1.0
        symprec: float = 0.01
        hop_cutoff: float = 8.0
        thresholds: str = field(default_factory=lambda: _table_identity())

    @dataclass(frozen=True)
    class Selection(PairBuilder.Selection):
        """Which pairs are wanted, and which ions are to be inserted into hosts.

        Attributes
        ----------
        insert : tuple of str
            Ions to insert into the hosts.
        hosts : collection of str
            Structures to insert them into.
        """

        insert: tuple[str, ...] = ()
        hosts: Collection[str] = frozenset()

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells."""
        return (PairInput(),)

    def roles(self) -> tuple[Input, ...]:
        """Read the primitive cells of the pairs that are wanted."""
        assert isinstance(self.wanted, ChannelBuilder.Selection)
        insert = read_ions(self.wanted.insert) if self.wanted.insert else ()
        return (PairInput(self.ions(), insert, self.wanted.hosts),)

    def looked_at(self) -> Collection[str] | None:
        """Return the ions that are named, inserted ones with them; None: all are looked at."""
        assert isinstance(self.wanted, ChannelBuilder.Selection)
        named = super().looked_at()
        return None if named is None else {*named, *self.wanted.insert}

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Analyse one structure for one ion."""
        from builders.channels.analysis import Options, analyse
        from builders.channels.document import to_document
        from store.crystal import Crystal

        given = self.settings
        assert isinstance(given, ChannelBuilder.Params)
        material, ion = split_key(key)
        options = Options(
            merge_distance=given.merge_distance,
            merge_diameter=given.merge_diameter,
            symprec=given.symprec,
            hop_cutoff=given.hop_cutoff,
        )
        found = analyse(Crystal.from_document(inputs["structures"]["primitive"]), ion, options)
        return {"material": material, **to_document(found, default_threshold(ion, found.anion))}

    def remarks(self, plan: Plan) -> list[str]:
        """Say which ions are chosen, which the documents to be made are of, and how long they take."""
        assert isinstance(self.wanted, ChannelBuilder.Selection)
        told = []
        ions = self.ions()
        if self.wanted.ions is not None:
            told.append(f"channels: only those of {', '.join(ions)} are looked at")
        elif ions != WORKING_IONS:
            told.append(f"channels: made for {', '.join(ions)} (IONATLAS_CHANNEL_IONS); those of other ions are kept")
        todo = Counter(split_key(key)[1] for key in plan.inputs)
        if todo:
            minutes = len(plan.inputs) * SECONDS_EACH / 60
            time = f", about {minutes:.0f} min on one core" if minutes > 1 else ""
            counts = ", ".join(f"{ion} {todo[ion]:,}" for ion in IONS if todo[ion])
            hint = "; --ion Li makes those of Li alone" if len(todo) > 1 and time else ""
            told.append(f"channels to make: {counts}{time}{hint}")
        return told


def default_threshold(ion: str, anion: str | None) -> Threshold | None:
    """Look the default threshold up; None where not even an estimate can be made."""
    from builders.channels.thresholds import threshold
    from store.errors import FeatureError

    try:
        return threshold(ion, anion)
    except FeatureError:
        return None


def _table_identity() -> str:
    from builders.channels.thresholds import DATA
    from store.provenance import content_hash

    return content_hash(DATA.read_bytes())
