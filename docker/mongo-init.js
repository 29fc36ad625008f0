// Run once by the mongo image, when its volume is empty: the users of docker/roles.json, with the passwords of the secrets.
// The server reads all and may note when a key was last used; the builder reads and writes this one database; neither is root.
const fs = require("fs");
const name = process.env.IONATLAS_DATABASE || "ionatlas";
const wanted = JSON.parse(fs.readFileSync("/opt/ionatlas/roles.json", "utf8").replaceAll("$database", name));
const there = db.getSiblingDB(name);

for (const role of wanted.roles) {
  there.createRole(role);
}
for (const user of wanted.users) {
  const password = fs.readFileSync(`/run/secrets/${user.password}`, "utf8").trim();
  there.createUser({ user: user.user, pwd: password, roles: user.roles });
}
