"""Tenants' files: read with care, each fault told with file, line and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from ctxhub.model.event import in_words
from ctxhub.model.soundness import unsound
from ctxhub.model.tenant import Tenant
from ctxhub.model.value import TenantId

__all__ = ["Checks", "FaultyFile", "LineFault", "check", "read_tenant"]

#: By channel: raises pydantic's error where what a tenant declares of it is not what its adapter reads.
Checks = Mapping[str, Callable[[Mapping[str, Any]], object]]

LARGEST = 512 * 1024
#: What aliases may unfold to: an ordinary file has some hundreds, a bomb millions.
MOST_NODES = 50_000
DEEPEST = 64
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAMES: TypeAdapter[str] = TypeAdapter(TenantId)
_UNKNOWN = "extra_forbidden"
_REMEDIES = {
    "missing": "add it",
    "string_type": "write text here; what YAML reads otherwise, such as no or 12, in quotes",
    "literal_error": "write one of these; on and off in quotes, since YAML reads them as true and false",
    "list_type": "write a list: one line for each, begun with a dash",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
}
_OFTEN = "see docs/reference/tenant-files.md"


class LineFault(NamedTuple):
    """One fault in one line of a file."""

    file: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} -> {self.remedy}"


class FaultyFile(ValueError):
    """A tenant's file that can't be used; `faults` tells of each line that is wrong."""

    def __init__(self, faults: Sequence[LineFault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = list(faults)


class _Wrong(Exception):
    """One fault that ends the reading, with the node or mark where it is."""

    def __init__(self, line: int, what: str, remedy: str) -> None:
        super().__init__(what)
        self.line, self.what, self.remedy = line, what, remedy


def check(folder: Path, checks: Checks | None = None) -> list[LineFault]:
    """Return every fault of a folder's files; `OSError` where there is no such folder."""
    return [
        fault for path in sorted(folder.iterdir()) if path.suffix == ".yaml" for fault in _faults(path, checks or {})
    ]


def _faults(path: Path, checks: Checks) -> list[LineFault]:
    """Return the faults of one file."""
    try:
        read_tenant(path, checks)
    except FaultyFile as faulty:
        return faulty.faults
    return []


def read_tenant(path: Path, checks: Checks | None = None) -> Tenant:
    """Read one tenant's file; `FaultyFile` names each line at fault and what to do about it."""
    try:
        _must_be_name(path)
        return _tenant(path, _text(path), checks or {})
    except _Wrong as wrong:
        raise FaultyFile([LineFault(path.name, wrong.line, wrong.what, wrong.remedy)]) from wrong


def _must_be_name(path: Path) -> None:
    """Refuse a file that no tenant's key leads to."""
    try:
        _NAMES.validate_python(path.stem)
    except ValidationError as error:
        remedy = "name it <tenant>.yaml: at most 40 of a to z, 0 to 9 and -"
        raise _Wrong(1, f"{path.stem!r} is not the name of a tenant", remedy) from error


def _text(path: Path) -> str:
    """Return a file's text."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise _Wrong(1, f"it can't be read: {error.strerror}", "let the hub read it") from error
    if len(raw) > LARGEST:
        raise _Wrong(1, f"it has more than {LARGEST // 1024} KiB", "declare less")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Wrong(line, "this is not UTF-8", "save the file as UTF-8") from error


def _tenant(path: Path, text: str, checks: Checks) -> Tenant:
    """Return the tenant that a text declares."""
    node, content = _content(text)
    if not isinstance(content, dict):
        raise _Wrong(_line(node), "a tenant's file is one mapping", "begin with a key such as `languages:`")
    if content.get("tenant", path.stem) != path.stem:
        what = f"the file's name says that this is {path.stem!r}"
        raise _Wrong(_line_of(node, ("tenant",)), what, "take `tenant` out, or rename the file")
    try:
        tenant = Tenant.model_validate(content | {"tenant": path.stem})
    except ValidationError as error:
        raise FaultyFile(list(_by_type(path.name, node, error))) from error
    faults = [LineFault(path.name, _line_of(node, fault.path), *fault[1:]) for fault in unsound(tenant)]
    faults += [fault for channel in checks for fault in _of_channel(path, node, tenant, channel, checks[channel])]
    if faults:
        raise FaultyFile(faults)
    return tenant


def _of_channel(
    path: Path, node: yaml.Node | None, tenant: Tenant, channel: str, check_: Callable[[Mapping[str, Any]], object]
) -> list[LineFault]:
    """Return what a channel's adapter finds wrong with what is declared of it."""
    try:
        check_(tenant.channels.get(channel, {}))
    except ValidationError as error:
        return list(_by_type(path.name, node, error, ("channels", channel)))
    return []


def _content(text: str) -> tuple[yaml.Node | None, Any]:
    """Return a text's nodes, which know their lines, and what they say; nothing stands for an empty mapping."""
    loader = _Loader(text)
    try:
        _must_be_flat(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        _must_be_plain(node)
        return node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text) from error
    except yaml.YAMLError as error:
        raise _Wrong(_line_at(text, error), "this character is not allowed in YAML", "take it out") from error
    except ValueError as error:
        raise _Wrong(1, f"a value in it can't be read: {error}", "write it in quotes") from error
    finally:
        loader.dispose()


def _must_be_flat(text: str) -> None:
    """Refuse what is nested deeply, before nodes are made of it: that takes a C stack that can't be caught."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise _Wrong(line, f"it is nested deeper than {DEEPEST} levels", "declare it flatter")


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> _Wrong:
    """Return what is wrong where a text is not YAML: most often it is a tab."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    begin = lines[line - 1] if line <= len(lines) else ""
    if re.match(r"\s*\t", begin) or "\\t" in (error.problem or ""):
        return _Wrong(line, "a tab stands here", "indent with spaces")
    return _Wrong(line, error.problem or "this is not YAML", "mend the line, or the one before")


def _line_at(text: str, error: yaml.YAMLError) -> int:
    """Return the line of a character that YAML does not allow."""
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1


def _must_be_plain(root: yaml.Node) -> None:
    """Refuse keys that stand twice, circles, and what unfolds to far more than was written."""
    left = MOST_NODES
    pending: list[tuple[yaml.Node, tuple[yaml.Node, ...]]] = [(root, ())]
    while pending:
        node, above = pending.pop()
        left -= 1
        if left < 0:
            raise _Wrong(_line(node), "aliases unfold to too much", "write it out, without `&` and `*`")
        if any(node is one for one in above):
            raise _Wrong(_line(node), "an alias here holds itself", "write it out, without `&` and `*`")
        _must_have_keys_once(node)
        pending += [(below, (*above, node)) for below in _below(node)]


def _below(node: yaml.Node) -> Iterable[yaml.Node]:
    """Return what a node holds."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _must_have_keys_once(node: yaml.Node) -> None:
    """Refuse a mapping in which a key stands twice: YAML would forget the first."""
    first: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            raise _Wrong(_line(key), "a key here is not text", "write a word before the colon")
        if key.value in first:
            what = f"the key {key.value!r} stands here twice, first in line {first[key.value]}"
            raise _Wrong(_line(key), what, "keep one of them")
        first[key.value] = _line(key)


def _by_type(
    file: str, node: yaml.Node | None, error: ValidationError, place: tuple[str, ...] = ()
) -> Iterator[LineFault]:
    """Yield what pydantic found, each fault at its line."""
    for fault in error.errors(include_url=False):
        path, type_ = (*place, *fault["loc"]), fault["type"]
        name = ".".join(str(part) for part in path)
        if type_ == _UNKNOWN:
            remedy = f"take it out, or mend its spelling; {_OFTEN}"
            yield LineFault(file, _line_of(node, path), f"there is no key {path[-1]!r} here ({name})", remedy)
        else:
            what = in_words(fault["msg"])
            yield LineFault(file, _line_of(node, path), f"{name}: {what}", _REMEDIES.get(type_, _OFTEN))


def _line_of(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """Return the line where a path leads, as far as it can be followed; of a key its own line."""
    line = _line(node)
    for part in path:
        pairs = _entries(node)
        if str(part) not in pairs:
            break
        line, node = pairs[str(part)]
    return line


def _entries(node: yaml.Node | None) -> dict[str, tuple[int, yaml.Node]]:
    """Return what stands in a node by key or number, each with its line."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): (_line(key), value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return {str(number): (_line(value), value) for number, value in enumerate(node.value)}
    return {}


def _line(node: yaml.Node | None) -> int:
    """Return the line where a node begins."""
    return node.start_mark.line + 1 if node is not None else 1
