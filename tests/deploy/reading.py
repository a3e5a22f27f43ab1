"""Reading what is deployed: manifests, the compose file, the image's steps, rules and dashboards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
COMPOSE = DEPLOY / "compose" / "compose.yaml"
RULES = DEPLOY / "prometheus" / "rules.yml"

_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
_SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_LABEL = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)")


def documents(path: Path) -> list[dict[str, Any]]:
    """Return every document of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def manifests() -> list[dict[str, Any]]:
    """Return everything that goes into a cluster, and the example of its secret."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [document for file in files if file.name != "kustomization.yaml" for document in documents(file)]


def manifest(kind: str, name: str = "ctxhub") -> dict[str, Any]:
    """Return one manifest."""
    [found] = [each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def steps() -> list[tuple[str, str]]:
    """Return the steps of the image: the word, and what it is told; of the last stage alone where that matters."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "image" / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def step(word: str) -> str:
    """Return what the last step of a kind is told."""
    return [told for each, told in steps() if each == word][-1]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    return {rule["alert"]: rule for rule in _rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names that rules record."""
    return {rule["record"] for rule in _rules() if "record" in rule}


def _rules() -> list[dict[str, Any]]:
    [document] = documents(RULES)
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def panels(path: Path) -> list[dict[str, Any]]:
    """Return a dashboard's panels, without the rows between them."""
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Return every query of rules and dashboards."""
    asked = [target["expr"] for path in DASHBOARDS for panel in panels(path) for target in panel["targets"]]
    return [rule["expr"] for rule in _rules()] + asked


def metrics_of(query: str) -> set[str]:
    """Return the metrics that a query names: all its words but functions, operators and labels."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = _GROUPED.sub("", re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare))
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - _WORDS


def labels_of(query: str) -> dict[str, set[str]]:
    """Return the labels by which a query chooses, by metric."""
    bare = re.sub(r'"[^"]*"', '""', query)
    found: dict[str, set[str]] = {}
    for name, inside in _SELECTOR.findall(bare):
        found.setdefault(name, set()).update(_LABEL.findall(inside))
    return found
