"""Settings: read from the environment when asked for, never at import.

Every setting has the prefix ``IONATLAS_``, e.g. ``IONATLAS_MONGODB_URI=mongodb://localhost:27017``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_home() -> Path:
    return Path(platformdirs.user_data_dir("ionatlas", appauthor=False))


class Settings(BaseSettings):
    """What can be set, with its environment variable and default.

    Examples
    --------
    >>> Settings(database="try").database
    'try'
    """

    model_config = SettingsConfigDict(env_prefix="IONATLAS_", extra="ignore", frozen=True)

    mongodb_uri: Annotated[
        str | None,
        Field(
            description="MongoDB to use, e.g. mongodb://user@host:27017. Unset: ionatlas runs its own private server."
        ),
    ] = None
    database: Annotated[str, Field(description="Name of the database.", pattern=r"^[A-Za-z0-9_\-]{1,60}$")] = "ionatlas"
    home: Annotated[
        Path,
        Field(
            description="Folder of the private server's data, the index snapshots and logs.",
            default_factory=_default_home,
        ),
    ]
    mongod: Annotated[
        Path | None,
        Field(description="The mongod program to run. Unset: PATH, then the wheel of the extra 'embedded'."),
    ] = None
    cache_gb: Annotated[
        float, Field(description="Memory that the private server may use for its cache, GB.", ge=0.25, le=1000)
    ] = 1.0
    server_timeout: Annotated[
        float, Field(description="Seconds to wait for a MongoDB server before giving up.", gt=0)
    ] = 15.0
    workers: Annotated[
        int | None, Field(description="Worker processes of a build. Unset: one a core.", ge=1, le=1024)
    ] = None
    item_seconds: Annotated[
        float | None, Field(description="Time limit for one item of a build, s. Unset: the builder's own.", gt=0)
    ] = None
    item_memory_gb: Annotated[float, Field(description="Memory limit of a worker process, GB.", gt=0.1)] = 4.0
    orphan_share: Annotated[
        float,
        Field(
            description="Largest share of a collection that may be removed as orphans without --allow-orphans.",
            ge=0,
            le=1,
        ),
    ] = 0.2
    channel_ions: Annotated[
        str | None,
        Field(description="Ions whose channels are built, e.g. Li,Na. Unset: Li Na K Rb Cs Mg Ca Sr Zn Al Ag Cu."),
    ] = None
    migration_model: Annotated[
        Path | None,
        Field(description="Folder of a model that ionatlas train made, to predict with. Unset: the shipped weights."),
    ] = None
    conductivity_model: Annotated[
        Path | None,
        Field(description="The same of a model of conductivities. Unset: the shipped weights."),
    ] = None
    serve_host: Annotated[
        str, Field(description="Address that ionatlas serve listens at; 127.0.0.1 is reached from this machine alone.")
    ] = "127.0.0.1"
    serve_port: Annotated[int, Field(description="Port that ionatlas serve listens at.", ge=1, le=65_535)] = 8000
    serve_workers: Annotated[int, Field(description="Server processes of ionatlas serve.", ge=1, le=64)] = 1
    public_url: Annotated[
        str | None,
        Field(
            description="Address at which others reach the server, e.g. https://atlas.example.org; links begin with it. "
            "Unset: links are relative, and no proxy is trusted.",
            pattern=r"^https?://[A-Za-z0-9.\-:\[\]]+(/[A-Za-z0-9._~/\-]*)?$",
        ),
    ] = None
    anonymous: Annotated[
        Literal["all", "read", "none"] | None,
        Field(
            description="What the server answers without a key: all, read (no computations, no exports) or none. "
            "Unset: all on loopback, read for others."
        ),
    ] = None
    rate_limit: Annotated[
        str | None,
        Field(
            description="Requests that one address may make without a key, e.g. 600/minute, or off. A key may make ten times as "
            "many. Unset: off on loopback, 600/minute for others."
        ),
    ] = None
    compute_limit: Annotated[
        str | None,
        Field(
            description="The same for computations and exports, for each address and each key. Unset: off on loopback, 30/minute "
            "for others."
        ),
    ] = None
    upload_mb: Annotated[float, Field(description="Largest file that the server takes, MB.", gt=0, le=100)] = 2.0
    sandbox_workers: Annotated[
        int, Field(description="Processes a server process that read and compute what is sent.", ge=1, le=64)
    ] = 1
    sandbox_seconds: Annotated[float, Field(description="Time limit of one such computation, s.", gt=0, le=3600)] = 20.0
    sandbox_memory_gb: Annotated[
        float, Field(description="Memory that such a process may allocate, GB.", ge=0.5, le=1000)
    ] = 2.0
    response_cache_mb: Annotated[
        float, Field(description="Memory a server process for answers given before, MB; 0 for none.", ge=0, le=10_000)
    ] = 32.0
    embeddings: Annotated[
        Path | None,
        Field(
            description="Folder of ionatlas train embeddings, with the networks (towers, pairs) and the ranker of templates. "
            "Unset: the shipped ones; those that the folder lacks too."
        ),
    ] = None


def load_settings() -> Settings:
    """Read the settings from the environment, now.

    Raises
    ------
    UsageError
        A variable holds a value that cannot be used; the message names the variable.
    """
    from pydantic import ValidationError

    from store.errors import UsageError

    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = "IONATLAS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(
            f"The setting {name} cannot be used: {first['msg']}. It was {first.get('input')!r}.",
            mend=f"unset {name}, or give it a value that fits",
        ) from None
