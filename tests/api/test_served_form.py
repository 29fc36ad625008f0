"""The served form: docker-compose.yml keeps its promises; the database's users may do what they must and nothing more."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from store.settings import Settings

BuiltStore = Any
PASSWORD = "0123456789abcdef"


@pytest.fixture(scope="module")
def root(request: pytest.FixtureRequest) -> Path:
    return request.config.rootpath


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    read: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
    return read


class TestCompose:
    def test_every_container_is_held_tight(self, compose: dict[str, Any]) -> None:
        for name, service in compose["services"].items():
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert not service.get("privileged")

    def test_only_the_server_is_offered_and_only_to_this_machine(self, compose: dict[str, Any]) -> None:
        assert {name for name, service in compose["services"].items() if service.get("ports")} == {"api"}
        assert "127.0.0.1" in compose["services"]["api"]["ports"][0]
        assert compose["networks"]["store"] == {"internal": True}
        assert compose["services"]["mongo"]["networks"] == ["store"]

    def test_no_password_stands_in_a_file(self, compose: dict[str, Any], root: Path) -> None:
        texts = {
            path: path.read_text() for path in [root / "docker-compose.yml", *sorted((root / "docker").glob("*.*"))]
        }
        for path, text in texts.items():
            assert "mongodb://root" not in text, path
            for line in text.splitlines():
                if "PASSWORD" in line and ("=" in line or ":" in line) and not line.lstrip().startswith("#"):
                    assert "/run/secrets/" in line or "MONGODB_PASSWORD_FILE:?" in line, (path, line)
        assert all(each["file"].startswith("docker/secrets/") for each in compose["secrets"].values())
        assert "secrets/" in (root / "docker" / ".gitignore").read_text()

    def test_every_file_and_secret_that_is_named_is_there(self, compose: dict[str, Any], root: Path) -> None:
        named = {secret for service in compose["services"].values() for secret in service.get("secrets", [])}
        assert named == set(compose["secrets"])
        script = (root / "docker" / "make-secrets.sh").read_text()
        assert all(name in script for name in compose["secrets"])
        for service in compose["services"].values():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source.startswith("./docker/"):
                    assert (root / source).is_file(), source

    def test_every_setting_that_is_named_exists(self, compose: dict[str, Any], root: Path) -> None:
        names = {name for service in compose["services"].values() for name in service["environment"]}
        names |= {
            line.split("=")[0]
            for line in (root / "docker" / "example.env").read_text().splitlines()
            if "=" in line and line[0] != "#"
        }
        known = {f"IONATLAS_{field}".upper() for field in Settings.model_fields} | {"IONATLAS_PUBLISH"}
        assert {name for name in names if name.startswith("IONATLAS_")} <= known

    def test_secrets_are_made_once_and_differ(self, root: Path, tmp_path: Path) -> None:
        script = tmp_path / "make-secrets.sh"
        script.write_text((root / "docker" / "make-secrets.sh").read_text())
        for _ in range(2):
            subprocess.run(["sh", str(script)], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert len(made) == len(set(made.values())) == 4
        assert all(len(text) == 96 and int(text, 16) for text in made.values())
        assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0

    def test_the_entry_puts_the_password_into_the_address(self, root: Path, tmp_path: Path) -> None:
        program = tmp_path / "ionatlas"
        program.write_text('#!/bin/sh\necho "$IONATLAS_MONGODB_URI $*"\n')
        program.chmod(0o755)
        (tmp_path / "password").write_text("s3cret\n")
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "MONGODB_USER": "ann",
            "MONGODB_PASSWORD_FILE": str(tmp_path / "password"),
        }
        done = subprocess.run(
            ["sh", str(root / "docker" / "entry.sh"), "serve"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "mongodb://ann:s3cret@mongo:27017/?replicaSet=rs0&authSource=ionatlas serve\n"


@pytest.fixture(scope="module")
def guarded(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses, by user, of a MongoDB server with authentication and the users of docker/roles.json."""
    from store.server.program import find_mongod

    folder = tmp_path_factory.mktemp("guarded")
    keyfile = folder / "keyfile"
    keyfile.write_text("a" * 96)
    keyfile.chmod(0o400)
    (folder / "db").mkdir()
    this = psutil.Process()  # test runs end servers whose owner is gone (tests/conftest.py)
    (folder / "owner.json").write_text(json.dumps([this.pid, this.create_time()]))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(find_mongod(Settings(home=folder))),
        "--dbpath",
        str(folder / "db"),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
    ]
    command += [
        "--replSet",
        "rs0",
        "--keyFile",
        str(keyfile),
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--oplogSize",
        "50",
        "--nounixsocket",
        "--quiet",
    ]
    with many_open_files():
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        make_users(root, port)
        options = f"127.0.0.1:{port}/?replicaSet=rs0&authSource=ionatlas"
        yield {name: f"mongodb://ionatlas_{name}:{PASSWORD}@{options}" for name in ("api", "builder")} | {
            "nobody": f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
        }
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(10)


@contextlib.contextmanager
def many_open_files() -> Iterator[None]:
    """A server of MongoDB holds two files a collection and index."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make_users(root: Path, port: int) -> None:
    """What docker/mongo-init.js does, with the same roles."""
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true", serverSelectionTimeoutMS=20_000) as local:
        local.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
        deadline = time.monotonic() + 20
        while not local.admin.command("hello")["isWritablePrimary"] and time.monotonic() < deadline:
            time.sleep(0.1)
        local.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
    wanted = json.loads((root / "docker" / "roles.json").read_text().replace("$database", "ionatlas"))
    with MongoClient(f"mongodb://root:{PASSWORD}@127.0.0.1:{port}/?directConnection=true") as there:
        for role in wanted["roles"]:
            there.ionatlas.command("createRole", role["role"], privileges=role["privileges"], roles=role["roles"])
        for user in wanted["users"]:
            there.ionatlas.command("createUser", user["user"], pwd=PASSWORD, roles=user["roles"])


@pytest.fixture(scope="module")
def filled(guarded: dict[str, str], built: BuiltStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store that the builder's user made; settings of the api's user."""
    from api.builds import run_builds
    from api.work import build_options, ingest_source
    from store.connection import connect

    home = tmp_path_factory.mktemp("guarded-home")
    builder = Settings(home=home, mongodb_uri=guarded["builder"], database="ionatlas")
    database = connect(builder)
    ingest_source(database, built.file, licence="CC0-1.0")
    run_builds(database, builder, options=build_options(builder, workers=1))
    return Settings(home=home, mongodb_uri=guarded["api"], database="ionatlas")


def refused(operation: Any) -> bool:
    try:
        operation()
    except OperationFailure as error:
        return error.code in (13, 8000)
    return False


class TestLeastRights:
    def test_the_server_answers_as_the_api_user(self, filled: Settings, guarded: dict[str, str]) -> None:
        from starlette.testclient import TestClient

        from api.keys import create_key, list_keys
        from api.rest.app import create_app
        from api.rest.options import ServeOptions
        from store.connection import connect

        database = connect(filled.model_copy(update={"mongodb_uri": guarded["builder"]}))
        _, token = create_key(database, "Ann", ["read", "compute", "export"])
        app = create_app(filled, ServeOptions(anonymous="none"))
        client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
        for path in (
            "/v1/materials?filter=band_gap%3E5&count=true",
            "/v1/materials/t-1",
            "/v1/materials/t-1/structure",
            "/v1/materials/t-1/lineage/band_gap",
            "/v1/materials/t-1/documents",
            "/v1/aggregate?group_by=elements",
            "/v1/similar?to=t-1",
            "/v1/status",
            "/v1/export?format=csv",
            "/v1/channels?id=t-2&ion=Li",
            "/healthz",
        ):
            assert client.get(path).status_code == 200, (path, client.get(path).text)
        assert list_keys(database)[0].last_used_at is not None
        app.state.sandbox.close()

    def test_the_api_user_writes_nothing(self, filled: Settings, guarded: dict[str, str]) -> None:
        with MongoClient(guarded["api"]) as client:
            there = client.ionatlas
            assert there["sources"].count_documents({}) == 12
            for name in ("sources", "structures", "candidates_g000001", "builds", "api_keys", "new"):
                assert refused(lambda name=name: there[name].insert_one({"_id": "x"})), name
                assert refused(lambda name=name: there[name].delete_many({})), name
                assert refused(lambda name=name: there[name].drop()), name
                if name != "api_keys":
                    assert refused(lambda name=name: there[name].update_one({"_id": "t-1"}, {"$set": {"x": 1}})), name
            assert refused(lambda: list(there["sources"].aggregate([{"$match": {}}, {"$out": "stolen"}])))
            assert refused(lambda: client.other["x"].find_one())
            assert refused(lambda: client.admin["system.users"].find_one())
            assert refused(lambda: there.command("createUser", "me", pwd="x", roles=[]))
            assert refused(lambda: client.admin.command("shutdown"))

    def test_the_builder_stays_in_its_database(self, filled: Settings, guarded: dict[str, str]) -> None:
        with MongoClient(guarded["builder"]) as client:
            assert refused(lambda: client.other["x"].insert_one({}))
            assert refused(lambda: client.admin["system.users"].find_one())
            assert refused(lambda: client.ionatlas.command("createUser", "me", pwd="x", roles=[]))
            assert refused(lambda: client.admin.command("shutdown"))

    def test_without_a_password_nothing_is_told(self, filled: Settings, guarded: dict[str, str]) -> None:
        with MongoClient(guarded["nobody"], serverSelectionTimeoutMS=5_000) as client, pytest.raises(PyMongoError):
            client.ionatlas["candidates"].find_one()
