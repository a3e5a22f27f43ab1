"""`ctxhub import` and `ctxhub export`: what can be said on the command line. `work` does it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BATCH = 500
Places = Callable[[argparse.ArgumentParser], None]


def add_import(commands: Any, add_places: Places) -> argparse.ArgumentParser:
    """Add `import` to the commands."""
    parser = commands.add_parser("import", help="bring customers in from a CRM's export, or put an export back")
    parser.add_argument("file", type=Path, help="CSV or JSON lines, gzipped or not")
    parser.add_argument("--tenant", default="default", help="whose customers they are")
    parser.add_argument("--format", choices=("csv", "jsonl"), help="none: by the file's name")
    parser.add_argument("--mapping", type=Path, metavar="FILE", help="what the columns mean, YAML")
    parser.add_argument("--map", action="append", default=[], metavar="COLUMN=MEANING", help="what one column means")
    parser.add_argument("--delimiter", help="what stands between two cells; none: found in the header")
    parser.add_argument("--encoding", default="utf-8", help="such as utf-8 or gb18030")
    parser.add_argument("--timezone", help="the zone of times without an offset, such as Asia/Shanghai")
    parser.add_argument("--source", help="the system the file comes from; none: crm")
    parser.add_argument("--at", help="when it was so, where a line does not say; none: the file's own time")
    parser.add_argument("--several-lines", action="store_true", help="a customer may stand on several lines")
    parser.add_argument("--dry-run", action="store_true", help="say what would be refused, and write nothing")
    parser.add_argument("--whole", action="store_true", help="put back what `ctxhub export` wrote")
    parser.add_argument("--resume", action="store_true", help="go on where a run that was stopped had come to")
    parser.add_argument("--refused", type=Path, metavar="PATH", help="where to; none: FILE.refused.jsonl")
    parser.add_argument("--journal", type=Path, metavar="PATH", help="where to; none: FILE.journal")
    parser.add_argument("--batch", type=_at_least_one, default=_BATCH, metavar="N", help="customers at a time")
    parser.add_argument("--processes", type=_at_least_one, metavar="N", help="that bring in; none: 1, large files 2")
    add_places(parser)
    return parser  # type: ignore[no-any-return]


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def add_export(commands: Any, add_places: Places) -> argparse.ArgumentParser:
    """Add `export` to the commands."""
    parser = commands.add_parser("export", help="take everything out, or one tenant, or one customer, as JSON lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to, gzipped if it ends in .gz; none: stdout")
    parser.add_argument("--tenant", help="this tenant's customers only")
    parser.add_argument("--customer", metavar="ID", help="this customer only; tenant `default` unless said")
    parser.add_argument("--keys", action="store_true", help="API keys too, as digests")
    parser.add_argument("--live", action="store_true", help="also while a hub is at work")
    add_places(parser)
    return parser  # type: ignore[no-any-return]
