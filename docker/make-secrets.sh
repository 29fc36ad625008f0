#!/bin/sh
# Makes the secrets that docker-compose.yml names, in docker/secrets, each once: docker/make-secrets.sh
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
chmod 700 "$folder"
for name in mongo_keyfile mongo_root_password api_password builder_password; do
  if [ ! -e "$folder/$name" ]; then
    # Hexadecimal: it stands in addresses as it is, and is a key file for MongoDB too.
    od -An -N48 -tx1 /dev/urandom | tr -d ' \n' > "$folder/$name"
    # The containers' users, which are not the owner, read it where it is mounted; the folder keeps others out here.
    chmod 444 "$folder/$name"
  fi
done
echo "The secrets are in $folder. Keep them out of any repository."
