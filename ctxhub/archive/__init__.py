"""The archive: timelines and last documents in SQL, so that Redis may forget whom nobody has been heard of for a while.

SQLite beside the hub's own data, or PostgreSQL. What stands here is what stood in Redis, byte for byte: this package
knows rows, and nothing of what they say.
"""

from ctxhub.archive.archive import Archive
from ctxhub.archive.database import without_password
from ctxhub.archive.rows import Archived, Copy, Entry, Held, Remembered, Row
from ctxhub.archive.trails import TrailHead, TrailRow

__all__ = [
    "Archive", "Archived", "Copy", "Entry", "Held", "Remembered", "Row", "TrailHead", "TrailRow", "without_password",
]  # fmt: skip
