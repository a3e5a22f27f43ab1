"""The association files: which apps the phone opens for a resume link instead of the browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctxhub_app.settings import AppChannel

_RELATION = "delegate_permission/common.handle_all_urls"


def apple(channels: Iterable[AppChannel]) -> dict[str, Any] | None:
    """Return `apple-app-site-association` for every tenant's apps; None where there is none."""
    app_ids = list(dict.fromkeys(app_id for channel in channels if channel.apple for app_id in channel.apple.app_ids))
    links = [{"/": "/r/*", "comment": "resume links"}]
    return {"applinks": {"details": [{"appIDs": app_ids, "components": links}]}} if app_ids else None


def android(channels: Iterable[AppChannel]) -> list[dict[str, Any]] | None:
    """Return `assetlinks.json` for all apps, each once with all its certificates; None without any."""
    prints: dict[str, list[str]] = {}
    for app in (app for channel in channels for app in channel.android):
        prints.setdefault(app.package, []).extend(app.fingerprints)
    targets = [
        {"namespace": "android_app", "package_name": package, "sha256_cert_fingerprints": list(dict.fromkeys(found))}
        for package, found in prints.items()
    ]
    return [{"relation": [_RELATION], "target": target} for target in targets] or None
