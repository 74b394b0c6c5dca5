"""What a Tryton system is told in systems.yaml: where it is, who we are there, and how long we wait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from mappings.errors import ConfigurationError
from mappings.language.strict import NUMBER, Positive, Strict


class TrytonSettings(Strict):
    """`base_url` ends where the database's name begins. The password stands in the environment or in a file."""

    base_url: str  # https://erp.example:8000
    database: Annotated[str, Field(min_length=1, pattern=r"^[^/?#]+$")]
    user: Annotated[str, Field(min_length=1)]
    password: SecretStr | None = None
    password_file: Path | None = None  # its first line is the password
    language: str | None = None  # of translated names; none: the user's own
    timeout: Positive = 60.0  # seconds without a byte from the server
    verify: bool | Path = True  # TLS: the system's authorities, or a file with those to trust
    batch: Annotated[int, Field(ge=1, le=5000), NUMBER] = 500  # changes in one call
    page: Annotated[int, Field(ge=1, le=50_000), NUMBER] = 2000  # rows in one answer
    largest_answer: Annotated[int, Field(ge=1 << 10), NUMBER] = 64 << 20  # bytes, unpacked

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it begins with https:// or http:// and a host")
        if parts.username or parts.password:
            raise ValueError("the user and the password have keys of their own")
        if parts.query or parts.fragment:
            raise ValueError("it ends with the path")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("password or password_file: one of them")
        return self

    def secret(self) -> str:
        """The password, read anew each time so that a renewed file counts; raises ConfigurationError."""
        if self.password is not None:
            return self.password.get_secret_value()
        assert self.password_file is not None
        try:
            lines = self.password_file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the password file cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}",
                where=str(self.password_file), todo="Check the path and who may read it.",
            ) from None
        if not lines or not lines[0]:
            raise ConfigurationError("the password file is empty", where=str(self.password_file),
                                     todo="Write the password into its first line.")
        return lines[0]
