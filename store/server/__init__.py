"""The private MongoDB server: one a data folder, shared by all local ionatlas processes.

``ensure_server`` finds it or starts it; it listens on 127.0.0.1 only, runs as a replica set of one, and goes on until
``stop_server`` (``ionatlas db stop``) or until the machine is shut down.
"""

from __future__ import annotations

from store.server.info import ServerInfo, ServerStatus
from store.server.program import find_mongod
from store.server.shared import (
    ensure_server,
    recorded_server,
    running_server,
    server_folder,
    server_status,
    stop_server,
)

__all__ = [
    "ServerInfo",
    "ServerStatus",
    "ensure_server",
    "find_mongod",
    "recorded_server",
    "running_server",
    "server_folder",
    "server_status",
    "stop_server",
]
