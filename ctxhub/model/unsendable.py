"""What keeps declared webhooks and sources from ever being reached, as far as that shows without calling them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from ctxhub.model.inward import Allowed, is_inward
from ctxhub.model.signature import BadSecret, secret_of
from ctxhub.model.soundness import Fault, Path
from ctxhub.model.tenant import Tenant
from ctxhub.model.webhook import Signing

_ALLOW = "let CTXHUB_WEBHOOK_ALLOW name it, if it is meant"


def unsendable(tenant: Tenant, environ: Mapping[str, str], allowed: Allowed) -> Iterator[Fault]:
    """Yield every webhook and source that can't be signed for, or whose address is none that may be called."""
    for name, webhook in tenant.webhooks.items():
        yield from _unsigned(("webhooks", name), webhook, environ)
        yield from _unreachable(("webhooks", name), webhook.url, allowed)
    for name, source in tenant.sources.items():
        yield from _unsigned(("sources", name), source, environ)
        yield from _unreachable(("sources", name), source.url, allowed)


def _unsigned(path: Path, spec: Signing, environ: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the secrets that are missing, or none."""
    for name in spec.signed_with:
        try:
            secret_of(environ.get(name, ""))
        except BadSecret as error:
            what = str(error) if name in environ else "it is not set"
            remedy = "set it, for the hub too, to whsec_ and what `openssl rand -base64 32` prints"
            yield Fault((*path, "secret"), f"{name}: {what}", remedy)


def _unreachable(path: Path, url: str, allowed: Allowed) -> Iterator[Fault]:
    """Yield an address that is inward by its very spelling, or plain HTTP, and not allowed."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = _address(host)
    if allowed.has_host(host) or (address is not None and allowed.has_address(address)):
        return
    if address is not None and is_inward(address):
        yield Fault((*path, "url"), f"{host} is an inward address", _ALLOW)
    elif parts.scheme == "http" and (address is not None or not allowed.networks):
        yield Fault((*path, "url"), "plain HTTP reaches only who is allowed", f"write https://, or {_ALLOW}")


def _address(host: str) -> str | None:
    """Return a host that is an address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None
