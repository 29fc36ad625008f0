#!/bin/bash
# Starts MongoDB as a replica set with authentication. Its key file must belong to the server's user and to nobody else, which a
# mounted secret cannot promise: so it is copied.
set -euo pipefail
install --mode 400 --owner mongodb --group mongodb /run/secrets/mongo_keyfile /tmp/keyfile
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /tmp/keyfile --bind_ip_all --wiredTigerCacheSizeGB "${CACHE_GB:-2}"
