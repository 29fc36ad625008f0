"""Load on ``ionatlas serve``: 32 clients of mixed reads on one machine, with what each kind of read takes.

    IONATLAS_HOME=/data/store python benchmarks/rest_load.py --seconds 60 --workers 2
    IONATLAS_HOME=/data/copy  python benchmarks/rest_load.py --seconds 60 --workers 2 --rebuild 2000

Server, generator (locust, ``FastHttpUser``: gevent, one process) and MongoDB share the machine. Clients ask again as soon as they
are answered, unless ``--think`` says otherwise. Limits in the filters are drawn anew for each request, so that hardly any answer was
given before. ``--rebuild`` makes structures stale and builds them and the candidates anew meanwhile: only ever do that to a copy.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and "--again" not in sys.argv:
    import gevent.monkey

    gevent.monkey.patch_all()

import argparse
import json
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ELEMENTS = [
    "Li",
    "Na",
    "K",
    "Mg",
    "Ca",
    "Al",
    "Zn",
    "O",
    "S",
    "Se",
    "F",
    "Cl",
    "Fe",
    "Mn",
    "Co",
    "Ni",
    "Ti",
    "V",
    "P",
    "Si",
    "B",
    "La",
    "Zr",
]
IDS: list[str] = []
PAGES: list[str] = []


def filtered() -> str:
    """A page of 20 rows, of one of several kinds."""
    a, b = random.sample(ELEMENTS, 2)
    hull, gap, dens = (
        f"{random.uniform(0.005, 0.3):.3f}",
        f"{random.uniform(0.2, 5):.2f}",
        f"{random.uniform(1, 9):.2f}",
    )
    kinds = [
        (f'elements HAS "{a}" AND band_gap > {gap}', ""),
        (f'elements HAS "{a}" AND energy_above_hull < {hull}', "energy_above_hull"),
        (f'elements HAS ALL "{a}","{b}" AND energy_above_hull < {hull}', "energy_above_hull"),
        (f'elements HAS "{a}" AND band_gap > {gap} AND energy_above_hull < {hull}', "-band_gap"),
        (f"band_gap > {gap} AND density < {dens}", "-density"),
        (f"space_group_number = {random.randint(1, 230)} AND nelements = {random.randint(2, 5)}", ""),
        (f"nelements = {random.randint(2, 6)} AND density > {dens}", "density"),
        (f"energy_above_hull < {hull} AND nsites < {random.randint(4, 40)}", "energy_above_hull"),
    ]
    text, order = random.choice(kinds)
    return "/v1/materials?" + urlencode({"filter": text, "limit": 20, **({"sort": order} if order else {})})


def material() -> str:
    return f"/v1/materials/{random.choice(IDS)}"


def structure() -> str:
    return f"/v1/materials/{random.choice(IDS)}/structure"


def similar() -> str:
    return "/v1/similar?" + urlencode({"to": random.choice(IDS), "k": 10, "by": "composition"})


def aggregate() -> str:
    a = random.choice(ELEMENTS)
    gap = f"{random.uniform(0.2, 5):.2f}"
    asked = random.choice(
        [
            {"group_by": "crystal_system"},
            {"group_by": "elements"},
            {"histogram": "band_gap", "bins": 40},
            {"group_by": "crystal_system", "filter": f'elements HAS "{a}" AND band_gap > {gap}'},
            {
                "histogram": "density",
                "bins": 20,
                "filter": f'elements HAS "{a}" AND energy_above_hull < 0.0{random.randint(1, 99)}',
            },
        ]
    )
    return "/v1/aggregate?" + urlencode(asked)


def page() -> str:
    kinds = [
        "/",
        f"/materials/{random.choice(IDS)}",
        "/?" + urlencode({"filter": f'elements HAS "{random.choice(ELEMENTS)}"'}),
    ]
    return random.choice([each for each in kinds if each.split("?")[0].split("/m")[0] in ("", "/")])


def next_page() -> str:
    return PAGES.pop() if PAGES else filtered()


MIX = [(50, "filtered page", filtered), (10, "next page", next_page), (15, "material", material), (5, "structure", structure), (8, "similar", similar), (8, "aggregate", aggregate), (4, "web page", page)]  # fmt: skip


def main() -> None:
    arguments = parsed()
    random.seed(arguments.seed)
    port = free_port()
    server = start_server(arguments, port)
    rebuild = None
    try:
        wait_for(port)
        learn_ids(port)
        if arguments.rebuild:
            rebuild = subprocess.Popen([sys.executable, __file__, "--again", str(arguments.rebuild)])
        result = load(arguments, f"http://127.0.0.1:{port}")
        result["rebuild"] = arguments.rebuild
        report(result)
        if arguments.json:
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    finally:
        for process in (rebuild, server):
            if process is not None:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm", type=float, default=10.0, help="seconds before counting begins")
    parser.add_argument("--think", type=float, default=0.0, help="seconds that a client waits between requests")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--rebuild", type=int, metavar="N", help="build so many structures anew meanwhile, again and again"
    )
    parser.add_argument("--only", help="one kind of read alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--again", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.again:
        build_again(arguments.again)
    return arguments


def build_again(share: int) -> None:
    """Call so many structures and candidates stale and build them anew, a new generation each time, until told to end."""
    from store.connection import connect
    from store.generations import current_generation
    from store.settings import load_settings

    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    database = connect(load_settings())
    # As if made by an older builder: a recipe begins with the builder's version.
    changed = {"$concat": ["0", {"$substrCP": ["$recipe", 1, {"$strLenCP": "$recipe"}]}]}
    while True:
        for name in ("structures", current_generation(database, "candidates") or "candidates"):
            chosen = [
                row["_id"] for row in database[name].aggregate([{"$sample": {"size": share}}, {"$project": {"_id": 1}}])
            ]
            database[name].update_many({"_id": {"$in": chosen}}, [{"$set": {"recipe": changed}}])
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "api.cli.main",
            "build",
            "structures",
            "duplicates",
            "candidates",
            "--workers",
            "1",
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        print(
            f"rebuilt {share} structures in {time.perf_counter() - began:.0f} s, exit code {done.returncode}",
            flush=True,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(arguments: argparse.Namespace, port: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "api.cli.main",
        "serve",
        "--port",
        str(port),
        "--workers",
        str(arguments.workers),
        "--quiet",
    ]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).read()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not come up")


def learn_ids(port: int) -> None:
    """A thousand ids from all over the store."""
    for start in range(0, 100_000, 10_000):
        address = f"http://127.0.0.1:{port}/v1/materials?fields=id&limit=100&skip={start}&sort=density"
        IDS.extend(row["id"] for row in json.load(urllib.request.urlopen(address, timeout=60))["data"])


def load(arguments: argparse.Namespace, host: str) -> dict[str, Any]:
    import gevent
    from locust import FastHttpUser, constant
    from locust.env import Environment

    taken: dict[str, list[float]] = defaultdict(list)
    errors: dict[str, int] = defaultdict(int)
    counting = {"on": False}
    mix = [(weight, name, make) for weight, name, make in MIX if not arguments.only or name == arguments.only]
    weights = [weight for weight, _, _ in mix]

    class Client(FastHttpUser):
        wait_time = constant(arguments.think)
        connection_timeout = network_timeout = 60.0

        def once(self) -> None:
            _, name, make = random.choices(mix, weights)[0]
            began = time.perf_counter()
            response = self.client.get(make(), name=name, headers={"Accept-Encoding": "gzip"})
            spent = time.perf_counter() - began
            if name == "filtered page" and len(PAGES) < 500 and random.random() < 0.2 and response.status_code == 200:
                following = response.json()["links"]["next"]
                if following:
                    PAGES.append(following)
            if counting["on"]:
                taken[name].append(spent)
                if response.status_code != 200:
                    errors[f"{name}: {response.status_code}"] += 1

    Client.tasks = [Client.once]
    Client.host = host
    environment = Environment(user_classes=[Client], host=host)
    runner = environment.create_local_runner()
    runner.start(arguments.clients, spawn_rate=arguments.clients)
    gevent.sleep(arguments.warm)
    counting["on"], cpu, load_before = True, time.process_time(), os.getloadavg()[0]
    began = time.perf_counter()
    gevent.sleep(arguments.seconds)
    counting["on"] = False
    spent, generator = time.perf_counter() - began, time.process_time() - cpu
    runner.quit()
    return {
        "clients": arguments.clients,
        "workers": arguments.workers,
        "think": arguments.think,
        "seconds": spent,
        "requests": sum(map(len, taken.values())),
        "per_second": sum(map(len, taken.values())) / spent,
        "generator_cpu": generator / spent,
        "load": [load_before, os.getloadavg()[0]],
        "errors": dict(errors),
        "kinds": {name: quantiles(values) for name, values in sorted(taken.items())}
        | {"all": quantiles([x for v in taken.values() for x in v])},
    }


def quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    pick = lambda share: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0  # noqa: E731
    return {"count": len(ordered), "p50": pick(0.5), "p95": pick(0.95), "p99": pick(0.99), "max": pick(1.0)}


def report(result: dict[str, Any]) -> None:
    print(f"{result['requests']} requests in {result['seconds']:.0f} s: {result['per_second']:.0f}/s; {result['clients']} clients, {result['workers']} workers, think {result['think']} s; generator {result['generator_cpu']:.2f} of a core; load {result['load'][0]:.1f} to {result['load'][1]:.1f}; errors {result['errors'] or 'none'}")  # fmt: skip
    print(f"{'kind':<16}{'count':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, each in result["kinds"].items():
        print(
            f"{name:<16}{each['count']:>8}{each['p50']:>9.1f}{each['p95']:>9.1f}{each['p99']:>9.1f}{each['max']:>9.1f}"
        )


if __name__ == "__main__":
    main()
