"""How the server is run: where it listens, who may ask what, how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from store.errors import UsageError

if TYPE_CHECKING:
    from store.settings import Settings

Anonymous = Literal["all", "read", "none"]
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_EXPOSED_RATE: Final = "600/minute"
_EXPOSED_COMPUTE: Final = "30/minute"
_KEY_FACTOR: Final = 10


@dataclass(frozen=True)
class ServeOptions:
    """What a server is run with.

    Attributes
    ----------
    host, port, workers
        Where it listens, and how many processes share the work.
    public_url : str or None
        Address at which others reach it.
    anonymous : {"all", "read", "none"}
        What is answered without a key.
    rate_limit, compute_limit : str or None
        Such as ``600/minute``; None for no limit.
    cache_mb : float
        Memory for answers given before, MB.

    Examples
    --------
    >>> ServeOptions().exposed, ServeOptions(host="0.0.0.0").exposed
    (False, True)
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    public_url: str | None = None
    anonymous: Anonymous = "all"
    rate_limit: str | None = None
    compute_limit: str | None = None
    cache_mb: float = 32.0

    @classmethod
    def from_settings(cls, settings: Settings) -> ServeOptions:
        """Read them from the settings; what is unset depends on who can reach the server.

        Raises
        ------
        UsageError
            A limit cannot be understood.
        """
        exposed = settings.serve_host not in LOOPBACK or settings.public_url is not None
        return cls(
            settings.serve_host,
            settings.serve_port,
            settings.serve_workers,
            settings.public_url.rstrip("/") if settings.public_url else None,
            settings.anonymous or ("read" if exposed else "all"),
            _limit(settings.rate_limit, _EXPOSED_RATE if exposed else None),
            _limit(settings.compute_limit, _EXPOSED_COMPUTE if exposed else None),
            settings.response_cache_mb,
        )

    @property
    def exposed(self) -> bool:
        """Whether others than this machine's users may reach the server."""
        return self.host not in LOOPBACK or self.public_url is not None

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names by which the server may be called; None for any. Others are refused: a page elsewhere could rebind its name."""
        if self.host not in LOOPBACK and self.public_url is None:
            return None
        names = {
            *LOOPBACK,
            "testserver",
            self.host,
        }  # testserver: how test clients call it; no name that anybody can own
        if self.public_url:
            names.add(urlsplit(self.public_url).hostname or "")
        return frozenset(names)


def _limit(given: str | None, default: str | None) -> str | None:
    if given is None:
        return default
    if given.strip().lower() in ("off", "none", ""):
        return None
    import limits

    try:
        limits.parse(given)
    except ValueError:
        raise UsageError(
            f"The rate limit {given!r} cannot be understood.", mend="write it like 600/minute, 10/second, or off"
        ) from None
    return given


def for_keys(limit: str) -> str:
    """Make the limit of a key of that of an address.

    Examples
    --------
    >>> for_keys("600/minute")
    '6000 per 1 minute'
    """
    import limits

    parsed = limits.parse(limit)
    return str(type(parsed)(parsed.amount * _KEY_FACTOR, parsed.multiples))
