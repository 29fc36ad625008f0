#!/bin/sh
# Puts the password of a secret into the address of the database, then runs ionatlas: no environment file holds a password.
set -eu
if [ -n "${MONGODB_USER:-}" ]; then
  password="$(cat "${MONGODB_PASSWORD_FILE:?names the file with the password of MONGODB_USER}")"
  database="${IONATLAS_DATABASE:-ionatlas}"
  IONATLAS_MONGODB_URI="mongodb://${MONGODB_USER}:${password}@${MONGODB_HOST:-mongo:27017}/?replicaSet=rs0&authSource=${database}"
  export IONATLAS_MONGODB_URI
fi
exec ionatlas "$@"
