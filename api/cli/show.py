"""``ionatlas show`` and ``ionatlas why``: one material, and where its values come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.output import console, message, open_service, sensible, to_json
from api.cli.show_lines import further_lines
from store.errors import UsageError

if TYPE_CHECKING:
    from rich.tree import Tree

    from api.results import Lineage, Step

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def show(
    id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonOption = False,
    cif: Annotated[bool, typer.Option("--cif", help="Print the crystal as CIF.")] = False,
    cell: Annotated[
        str, typer.Option("--cell", help="Of --cif: standard, primitive, or as given.", metavar="CELL")
    ] = "standard",
) -> None:
    """Show all that is known of a material.

    \b
    ionatlas show mp-19017
    ionatlas show mp-19017 --cif > LiFePO4.cif
    """  # noqa: D301  (\\b keeps the lines of the examples)
    service = open_service()
    if cif:
        typer.echo(_cif(service.structure(id, _kind(cell))), nl=False)
        return
    found = service.show(id)
    if as_json:
        typer.echo(to_json(found, indent=True))
    else:
        _print(found)


def why(
    id: Annotated[str, typer.Argument(metavar="ID")],
    field: Annotated[str, typer.Argument(metavar="FIELD")],
    as_json: JsonOption = False,
) -> None:
    """Tell where a value comes from: every document, builder and file on its way.

    \b
    ionatlas why mp-19017 band_gap
    """  # noqa: D301  (\\b keeps the lines of the examples)
    lineage = open_service().why(id, field)
    if as_json:
        typer.echo(to_json(lineage, indent=True))
    else:
        _print_lineage(lineage)


def _kind(cell: str) -> Any:
    if cell not in ("standard", "primitive", "given"):
        raise UsageError(f"There is no cell {cell!r}.", mend="--cell standard, --cell primitive or --cell given")
    return cell


def _cif(crystal: Any) -> str:
    import warnings

    from pymatgen.io.cif import CifWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of elements without an electronegativity
        return str(CifWriter(crystal.to_pymatgen(), significant_figures=8))


def _print(found: dict[str, Any]) -> None:
    from store.fields import candidate_fields
    from store.ingest.kinds import kind_of

    candidate, structure, source = found["candidate"], found["structure"], found["source"]
    values = candidate or structure or {}
    head = "  ".join(str(part) for part in (found["id"], values.get("formula"), values.get("name")) if part)
    lines: list[tuple[str, str]] = []
    for field in candidate_fields():
        value = values.get(field.name)
        if field.name != "id" and not field.ion and value is not None and value != []:
            lines.append((field.name, f"{sensible(value)} {field.unit or ''}".rstrip()))
    if structure:
        lines += _cell_lines(structure["standard"])
        states = structure.get("oxidation_states")
        if states:
            told = " ".join(f"{symbol}{state:+g}" for symbol, state in states.items())
            lines.append(("oxidation_states", f"{told} ({structure.get('oxidation_state_method')})"))
    lines += [("reference", text) for text in (source or {}).get("references") or []]
    lines += [("read from", _origin(origin)) for origin in (source or {}).get("origins", [])]
    for cluster in (found["duplicates"] or {}).get("clusters", []):
        if found["id"] in cluster["members"]:
            lines.append(("same crystal", " ".join(each for each in cluster["members"] if each != found["id"])))
    lines += [line for document in found["channels"] for line in _channel_lines(document)]
    lines += [_prediction_line(document) for document in found["predictions"]]
    lines += _computed_lines(found["barriers"])
    lines += _barrier_lines(found["barrier"])
    lines += further_lines(found)
    lines += [("embedding", f"{each['model']}, {each['dimension']} numbers") for each in found["embeddings"]]
    for failure in found["failures"]:
        error = failure["error"]
        lines.append(("failed", f"{failure['builder']}: {error['type']}: {error['message']}"))
    if source and source.get("error"):
        lines.append(("unreadable", f"{source['error']['type']}: {source['error']['message']}"))
    _print_pairs(head, lines)
    if found["barrier"] is not None:
        return
    kind = kind_of(source["format"]) if source else "structure"
    if kind in _NO_MATERIAL:
        message(_NO_MATERIAL[kind])
    elif candidate is None:
        message("It is not among the candidates: ionatlas build" if not found["failures"] else "It could not be built.")


_NO_MATERIAL: Final = {
    "hop": "It is a hop of an ion, not a material: ionatlas build makes its barrier document.",
    "conductivity": "It is a measured conductivity, not a material: ionatlas build links it to structures.",
}


def _channel_lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    """One line about the channels of an ion, and its doubts."""

    def sizes(prefix: str) -> str:
        return " ".join(f"{document[f'{prefix}{k}']:.3f}" for k in (1, 2, 3))

    name = f"{document['ion']} channels"
    parts = [f"r1 r2 r3 = {sizes('r')} Å", f"own paths {sizes('path_r')} Å", f"{document['n_hops']} hops"]
    if document["channel_dimension"] is not None:
        among = f" among {document['anion']}" if document["anion"] else ""
        parts.insert(0, f"{document['channel_dimension']}D at the threshold of {document['threshold']:.3f} Å{among}")
    if document["r_sd_min"] is not None:
        parts.append(f"R_sd {document['r_sd_min']:.3f} to {document['r_sd_max']:.3f} Å")
    if document["insertion"]:
        parts.append("as a host")
    doubts = [(f"{name}: {flag['code']}", flag["reason"]) for flag in document["channel_flags"]]
    return [(name, "; ".join(parts)), *doubts]


def _computed_lines(documents: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """One line an ion about the barriers that were computed in a material's framework."""
    values: dict[str, list[float]] = {}
    for document in documents:
        if document.get("barrier") is not None:
            values.setdefault(document["working_ion"], []).append(document["barrier"])
    return [
        (
            f"{ion} barriers",
            f"{len(found)} computed, {min(found):.3g} to {max(found):.3g} eV (ionatlas barriers --material)",
        )
        for ion, found in sorted(values.items())
    ]


def _barrier_lines(document: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What is known of a hop."""
    if document is None:
        return []
    lines = [("hop", f"{document['working_ion']} in {document['framework_formula']}, {document['p_length']:.3f} Å")]
    if document.get("barrier") is not None:
        how = ", ".join(str(document[name]) for name in ("method", "functional") if document.get(name))
        lines.append(("barrier", f"{document['barrier']:.3f} eV ({document.get('barrier_definition')}; {how})"))
    study = document["study"]
    sizes = f"R_sd {study['r_sd']:.3f} Å, r_chan {study['r_chan']:.3f} Å, bottleneck {document['r_bottleneck']:.3f} Å"
    lines.append(("path", sizes))
    for each in document["materials"][:5]:
        hop = "" if each.get("hop") is None else f", its hop {each['hop']}"
        lines.append(("framework of", f"{each['material']}{hop} (difference {each['difference']:.4f})"))
    lines += [("reference", text) for text in document["references"]]
    return [*lines, *(("flag", flag) for flag in document["flags"]), *(("note", text) for text in document["warnings"])]


def _prediction_line(document: dict[str, Any]) -> tuple[str, str]:
    """One line about the predicted migration energy of an ion."""
    parts = []
    for suffix, ways in (("", "1D"), ("_2", "2D"), ("_3", "3D")):
        name = f"migration_energy{suffix}"
        if document[name] is not None:
            ends = f"{document[f'{name}_lower']:.2f} to {document[f'{name}_upper']:.2f}"
            doubt = "" if document[f"{name}_in_domain"] else ", outside the model's domain"
            parts.append(f"{ways} {document[name]:.2f} eV ({ends}{doubt})")
    told = "; ".join(parts) or "no path through the crystal"
    missing = document["n_hops"] - document["n_predicted"]
    if missing:
        told += f"; {missing} of {document['n_hops']} hops without a prediction"
    return f"{document['ion']} migration energy", f"{told}; {document['model']}"


def _print_pairs(head: str, lines: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    screen = console()
    screen.print(Text(head, style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(Text(name), Text(text))
    screen.print(table)


def _cell_lines(cell: dict[str, Any]) -> list[tuple[str, str]]:
    import numpy as np

    rows = np.asarray(cell["lattice"], dtype=float)
    lengths = np.linalg.norm(rows, axis=1)
    cosines = [rows[i] @ rows[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    return [
        ("cell a, b, c", f"{lengths[0]:.4f} {lengths[1]:.4f} {lengths[2]:.4f} Å (standardised)"),
        ("cell angles", f"{angles[0]:.2f} {angles[1]:.2f} {angles[2]:.2f} degrees"),
    ]


def _origin(origin: dict[str, Any]) -> str:
    text = str(origin.get("path") or origin.get("url") or "?")
    if origin.get("member"):
        text += f" :: {origin['member']}"
    if origin.get("line") is not None:
        text += f", line {origin['line']}"
    return text


def _print_lineage(lineage: Lineage) -> None:
    from rich.text import Text
    from rich.tree import Tree

    field = lineage.field
    value = "unknown" if lineage.value is None else f"{_value(lineage.value)} {field.unit or ''}".rstrip()
    root = Tree(Text(f"{lineage.id}  {field.name} = {value}", style="bold"))
    root.add(Text(f"{field.meaning} Copied from {lineage.copied_from}."))
    for step in lineage.steps:
        _grow(root, step)
    console().print(root)


def _value(value: Any) -> str:
    if isinstance(value, dict | bytes):
        return f"({type(value).__name__} of {len(value)} entries)"
    return repr(value) if isinstance(value, float) else sensible(value)


def _grow(tree: Tree, step: Step) -> None:
    from rich.text import Text

    text = Text(f"{step.collection}/{step.id}", style="cyan")
    text.append(f"  {step.state}", style="green" if step.state in ("fresh", "given") else "yellow")
    branch = tree.add(text)
    if step.hash:
        branch.add(Text(f"content hash {step.hash}"))
    if step.builder:
        when = f"{step.made_at:%Y-%m-%d %H:%M:%S} UTC" if step.made_at else "unknown time"
        branch.add(
            Text(f"made by {step.builder} version {step.version}, {when}, in {(step.seconds or 0) * 1000:.1f} ms")
        )
        params = "not known any more" if step.params is None else _pairs(step.params)
        branch.add(Text(f"parameters: {params}"))
        if step.packages:
            branch.add(Text(f"packages: {_pairs(step.packages)}"))
    for origin in step.origins:
        branch.add(Text(f"read from {_origin(origin)}"))
    if step.sha256:
        branch.add(Text(f"{step.format}, sha256 {step.sha256}"))
    for reference in step.references:
        branch.add(Text(f"cites {reference}"))
    if step.licence:
        branch.add(Text(f"licence {step.licence}"))
    for each in step.inputs:
        _grow(branch, each)
    if step.more_inputs:
        branch.add(Text(f"and {step.more_inputs} more inputs"))


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
