"""A material's structure as a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from store.errors import UsageError

if TYPE_CHECKING:
    from api.service import Service


def structure_file(service: Service, id: str, form: str, kind: str) -> Response:
    """Answer with CIF, POSCAR or JSON.

    Raises
    ------
    UsageError
        No such form or kind of cell; a disordered crystal as POSCAR.
    UnknownId
    """
    made: Any = _MAKERS.get(form)
    if made is None:
        raise UsageError(f"There is no form {form[:20]!r}.", mend="take cif, poscar or json")
    if kind not in ("standard", "primitive", "given"):
        raise UsageError(f"There is no kind {kind[:20]!r} of cell.", mend="take standard, primitive or given")
    crystal = service.structure(id, kind)  # type: ignore[arg-type]
    text, media = made(crystal, id)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", id)[:80] or "structure"
    ending = {"cif": ".cif", "poscar": ".vasp", "json": ".json"}[form]
    headers = {"Content-Disposition": f'attachment; filename="{name}{ending}"', "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type=media, headers=headers)


def _cif(crystal: Any, id: str) -> tuple[str, str]:
    return cif_of(crystal, id), "chemical/x-cif"


def cif_of(crystal: Any, name: str) -> str:
    """Write a crystal as CIF."""
    from pymatgen.io.cif import CifWriter

    text = str(CifWriter(crystal.to_pymatgen()))
    plain = re.sub(r"[^\x21-\x7e]+", "_", name)[:100]
    return f"# {plain}, by ionatlas\n{text}"


def _poscar(crystal: Any, id: str) -> tuple[str, str]:
    from pymatgen.io.vasp.inputs import Poscar

    if not crystal.is_ordered:
        raise UsageError(
            f"{id} is disordered: POSCAR has no place for shared sites.", mend="take the CIF, which has one"
        )
    plain = re.sub(r"[^\x20-\x7e]+", "_", id)[:100]
    return str(Poscar(crystal.to_pymatgen(), comment=plain, sort_structure=True)), "text/plain; charset=utf-8"


def _json(crystal: Any, id: str) -> tuple[str, str]:
    import orjson

    told = {"id": id, "units": {"lattice": "Å"}, **crystal.to_document()}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode(), "application/json"


_MAKERS = {"cif": _cif, "poscar": _poscar, "json": _json}
