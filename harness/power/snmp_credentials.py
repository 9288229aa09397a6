# SPDX-License-Identifier: GPL-2.0-or-later
"""Who we are to an SNMP agent: a community, or a user of v3 with keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.config import Secret
from harness.errors import ConfigError

#: Characters of a v3 passphrase (RFC 3414, section 11.2).
_SHORTEST = 8


@dataclass(frozen=True)
class Credentials:
    """version "1", "2c": community. "3": user, and a key each for authentication and privacy, or None for without."""

    version: Literal["1", "2c", "3"] = "2c"
    community: Secret | None = field(default=None, repr=False)
    user: str = ""
    auth: str = "SHA-256"
    auth_key: Secret | None = field(default=None, repr=False)
    privacy: str = "AES"
    privacy_key: Secret | None = field(default=None, repr=False)
    context: str = ""

    def __post_init__(self) -> None:
        for name, key in (("authentication", self.auth_key), ("privacy", self.privacy_key)):
            if key is not None and len(key.reveal()) < _SHORTEST:
                raise ConfigError(
                    f"the SNMPv3 {name} key has fewer than {_SHORTEST} characters",
                    remedy="RFC 3414 wants 8 at least, and agents refuse less: correct the variable or file",
                )

    @property
    def secrets(self) -> list[str]:
        return [secret.reveal() for secret in (self.community, self.auth_key, self.privacy_key) if secret is not None]

    def user_data(self, api: Any) -> Any:
        """As pysnmp wants it; api: its module."""
        if self.version != "3":
            community = self.community.reveal() if self.community is not None else "public"
            return api.CommunityData(community, mpModel=0 if self.version == "1" else 1)
        auth = self.auth_key
        privacy = self.privacy_key
        protocols: Mapping[str, Any] = {
            "MD5": api.USM_AUTH_HMAC96_MD5,
            "SHA": api.USM_AUTH_HMAC96_SHA,
            "SHA-224": api.USM_AUTH_HMAC128_SHA224,
            "SHA-256": api.USM_AUTH_HMAC192_SHA256,
            "SHA-384": api.USM_AUTH_HMAC256_SHA384,
            "SHA-512": api.USM_AUTH_HMAC384_SHA512,
            "DES": api.USM_PRIV_CBC56_DES,
            "AES": api.USM_PRIV_CFB128_AES,
            "AES-192": api.USM_PRIV_CFB192_AES_BLUMENTHAL,
            "AES-256": api.USM_PRIV_CFB256_AES_BLUMENTHAL,
            "AES-192-Cisco": api.USM_PRIV_CFB192_AES,
            "AES-256-Cisco": api.USM_PRIV_CFB256_AES,
        }
        return api.UsmUserData(
            self.user,
            authKey=auth.reveal() if auth is not None else None,
            privKey=privacy.reveal() if privacy is not None else None,
            authProtocol=protocols[self.auth] if auth is not None else api.USM_AUTH_NONE,
            privProtocol=protocols[self.privacy] if privacy is not None else api.USM_PRIV_NONE,
        )
