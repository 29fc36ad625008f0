"""Keys of the server's users: what is kept of a key is a hash, from which nobody can make the key again."""

from __future__ import annotations

from typing import Final

from mongoengine import DateTimeField, Document, ListField, StringField

SCOPES: Final = ("read", "compute", "export", "admin")
"""What a key may be used for: to ask, to compute, to export, and all of these without limits."""


class KeyDocument(Document):
    """A key: its public name, the hash of its secret, what it may be used for and until when."""

    id = StringField(primary_key=True, regex=r"^[0-9a-f]{12}$")
    name = StringField(required=True, max_length=100)
    sha256 = StringField(required=True, regex=r"^[0-9a-f]{64}$")
    scopes = ListField(StringField(choices=SCOPES), required=True)
    created_at = DateTimeField(required=True)
    expires_at = DateTimeField()
    last_used_at = DateTimeField()
    revoked_at = DateTimeField()

    meta = {"collection": "api_keys", "indexes": []}  # noqa: RUF012  (mongoengine reads it so)
