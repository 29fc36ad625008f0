"""Fuzz the HTTP interface with schemathesis: made-up requests, valid and not, against the OpenAPI document.

    IONATLAS_HOME=/data/store python benchmarks/rest_fuzz.py --cases 5000

Prints, per operation, how many cases were sent and what they were answered with. A failure is a status of 500 and above, a status or
type that the document does not name, a body that breaks its schema, or an invalid request that was taken. Needs an ionatlas store with
something in it; the server is started and ended here.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

CIF = """data_LiF
_cell_length_a 4.03
_cell_length_b 4.03
_cell_length_c 4.03
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_Int_Tables_number 225
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 Li 0 0 0
F1 F 0.5 0.5 0.5
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    from api.rest.app import create_app

    app = create_app()
    try:
        result = fuzz(app, arguments.cases, arguments.seed)
    finally:
        app.state.sandbox.close()
    report(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def fuzz(app: Any, cases: int, seed: int) -> dict[str, Any]:
    import schemathesis
    from schemathesis.generation import GenerationMode

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.checks.negative_data_rejection.expected_statuses = [
        "400",
        "401",
        "403",
        "404",
        "405",
        "413",
        "414",
        "429",
        "503",
    ]
    operations = [each.ok() for each in schema.get_all_operations()]
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    failures: list[str] = []
    good = good_values(app)
    began = time.monotonic()
    each = -(-cases // (2 * len(operations)))
    while sum(sum(counter.values()) for counter in statuses.values()) < cases:
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                examine(operation, mode, each, seed, statuses[operation.label], failures, good)
        seed, each = seed + 1, max(5, each // 4)
    return {
        "cases": sum(sum(counter.values()) for counter in statuses.values()),
        "operations": len(operations),
        "seconds": round(time.monotonic() - began, 1),
        "statuses": {
            name: {str(status): count for status, count in sorted(counter.items())}
            for name, counter in statuses.items()
        },
        "server_errors": sum(
            count for counter in statuses.values() for status, count in counter.items() if status >= 500
        ),
        "failures": failures,
    }


def make_sensible(case: Any, good: dict[str, list[Any]], dice: random.Random) -> None:
    """Put what means something in place of made-up text, most of the time, so that answers of 200 are checked too."""
    for given in (case.query, case.path_parameters, case.body):
        if not isinstance(given, dict):
            continue
        for name in given:
            if name in good and dice.random() < 0.8:
                given[name] = dice.choice(good[name])
        if case.path == "/v1/export" and given is case.query and dice.random() < 0.9:
            given["limit"] = dice.choice([1, 7, 50])  # whole stores are written now and then only
        if given is case.query and dice.random() < 0.7:
            for name in ("after", "bins", "histogram" if "group_by" in given else "skip", "elements", "required"):
                given.pop(name, None)


def good_values(app: Any) -> dict[str, list[Any]]:
    """Values that mean something in this store."""
    rows = app.state.service.query(None, limit=40, sort="-density", fields="id,formula").rows
    ids, formulas = [row["id"] for row in rows], [row["formula"] for row in rows]
    filters = [
        "band_gap > 1",
        'elements HAS "O" AND NOT nelements > 3',
        "energy_above_hull IS KNOWN",
        "band_gap < 300 meV",
    ]
    filters += [
        f'formula = "{formulas[0]}"',
        f'SIMILAR TO "{ids[0]}" BY composition WITHIN 5',
        "",
        'formula CONTAINS "."',
        "nelements > 10000000000000000000000",
    ]
    return {
        "id": ids,
        "to": [*ids, *formulas],
        "filter": filters,
        "fields": ["id", "id,formula,density", "all", "li_*", "*gap"],
        "sort": ["density", "-band_gap,formula", "id"],
        "group_by": ["elements", "crystal_system", "nelements,crystal_system"],
        "histogram": ["density", "band_gap"],
        "value": ["density", "volume_per_atom"],
        "field": ["band_gap", "density", "elements"],
        "formula": [*formulas, "LiNiPO4", "KBr"],
        "text": ["band_g", "band_gap > 3 ", "elements HAS "],
        "ion": ["Li", "Na"],
        "limit": [1, 20],
        "file": [CIF.encode()],
    }


def examine(
    operation: Any,
    mode: Any,
    count: int,
    seed: int,
    statuses: Counter[int],
    failures: list[str],
    good: dict[str, list[Any]],
) -> None:
    import hypothesis
    from hypothesis import HealthCheck
    from hypothesis.errors import Unsatisfiable
    from schemathesis.core.failures import FailureGroup
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:
            make_sensible(case, good, random.Random(repr((case.query, case.body, case.path_parameters))))
        response = case.call(timeout=120)
        statuses[response.status_code] += 1
        try:
            # What the filter language, a formula or a file must look like stands in no JSON schema: valid data may be refused.
            case.validate_response(response, excluded_checks=[positive_data_acceptance])
        except FailureGroup as error:
            told = f"{operation.label}: {str(error).strip()[:600]}"
            if len(failures) < 100:
                failures.append(told)

    try:
        run()
    except Unsatisfiable:  # of an operation without parameters nothing invalid can be made
        return


def report(result: dict[str, Any]) -> None:
    for name, statuses in sorted(result["statuses"].items()):
        print(
            f"{name:<45} {sum(statuses.values()):>6}  "
            + ", ".join(f"{status}: {count}" for status, count in statuses.items())
        )
    for failure in result["failures"]:
        print("FAILURE", failure)
    print(
        f"{result['cases']} cases on {result['operations']} operations in {result['seconds']} s: {result['server_errors']} answers of 500 "
        f"and above, {len(result['failures'])} failures"
    )


if __name__ == "__main__":
    main()
