#!/bin/bash
# Initiates the replica set at the first check, then asks whether this node is primary.
exec mongosh --quiet --username root --password "$(cat /run/secrets/mongo_root_password)" --authenticationDatabase admin --eval '
  try { rs.status() } catch (error) { rs.initiate({_id: "rs0", members: [{_id: 0, host: "mongo:27017"}]}) }
  quit(db.hello().isWritablePrimary ? 0 : 1)'
