"""The page's own files: read once, served with a tag, so that a browser asks again and gets nothing but yes."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

#: What the browser must not do with the page: run or load anything from elsewhere, or be framed elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'; require-trusted-types-for 'script'"
)


class Asset(NamedTuple):
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """Return every file below static/ by name."""
    found = [file for file in files(__package__).joinpath("static").iterdir() if file.is_file()]
    return {file.name: _asset(file.name, file.read_bytes()) for file in found if _suffix(file.name) in _TYPES}


def _asset(name: str, content: bytes) -> Asset:
    """Describe one file."""
    return Asset(content, _TYPES[_suffix(name)], f'"{sha256(content).hexdigest()[:20]}"')


def _suffix(name: str) -> str:
    """Return what follows the last dot."""
    return name.rpartition(".")[2]
