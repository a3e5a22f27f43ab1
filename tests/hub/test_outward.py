"""Calls out reach only what is the internet's, or allowed, whatever a name leads to; TLS goes by the name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ctxhub.hub.outward import Bounds, CheckedNetwork, Inward, NotReached, Outward
from ctxhub.model.inward import NOWHERE, Allowed, allowed_of
from tests.hub.receiving import Receiver, receiving, saying
from tests.support import NOON

PUBLIC = "93.184.215.14"
SOON = Bounds(3, 4096)


def leading(*answers: list[str]) -> Any:
    """A resolver whose answers come one after the other, the last one again and again; `asked` is how often."""

    async def resolve(host: str, port: int) -> list[str]:
        resolve.asked += 1  # type: ignore[attr-defined]
        return answers[min(resolve.asked, len(answers)) - 1]  # type: ignore[attr-defined]

    resolve.asked = 0  # type: ignore[attr-defined]
    return resolve


async def reason(outward: Outward, url: str) -> str:
    """Why a call is not answered; its status where it is."""
    try:
        return str((await outward.post(url, {}, b"{}", SOON, NOON)).status)
    except NotReached as refused:
        return refused.reason
    finally:
        await outward.aclose()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.8", "169.254.169.254", "100.64.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fe80::1"],
)
async def test_a_name_that_leads_inwards_is_not_called(address: str) -> None:
    assert await reason(Outward(resolve=leading([address])), "https://crm.example.com/") == "inward"


async def test_one_inward_address_among_others_is_enough() -> None:
    assert await reason(Outward(resolve=leading([PUBLIC, "127.0.0.1"])), "https://crm.example.com/") == "inward"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "localhost", "[::ffff:7f00:1]"]
)
async def test_no_spelling_of_loopback_is_called(host: str) -> None:
    assert await reason(Outward(), f"https://{host}/") in ("inward", "unreachable")


class Dialled(httpcore.AsyncNetworkBackend):
    """Notes whom it was to connect to, and connects to nobody."""

    def __init__(self) -> None:
        self.to: list[str] = []

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.to.append(host)
        raise httpcore.ConnectError("nobody is there")


async def test_whoever_changes_the_address_after_the_check_changes_nothing() -> None:
    resolve, dialled = leading([PUBLIC], ["127.0.0.1"]), Dialled()
    network = CheckedNetwork(NOWHERE, resolve)
    network._network = dialled  # type: ignore[assignment]
    with pytest.raises(httpcore.ConnectError):
        await network.connect_tcp("crm.example.com", 443)
    assert (dialled.to, resolve.asked) == ([PUBLIC], 1)
    with pytest.raises(Inward):  # the next call looks again, and sees
        await network.connect_tcp("crm.example.com", 443)
    assert dialled.to == [PUBLIC]


async def test_without_the_check_the_changed_address_would_be_called() -> None:
    async with receiving() as inward:
        resolve = leading([PUBLIC], ["127.0.0.1"])
        assert (await resolve("crm.example.com", 443)) == [PUBLIC]  # a check apart from the call

        class Unchecked(httpcore.AsyncNetworkBackend):
            async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> httpcore.AsyncNetworkStream:
                (address,) = await resolve(host, port)
                return await httpcore.AnyIOBackend().connect_tcp(address, port, *rest, **more)

        async with httpcore.AsyncConnectionPool(network_backend=Unchecked()) as pool:
            await pool.request("POST", f"http://crm.example.com:{inward.port}/", content=b"{}")
        assert len(inward.got) == 1


async def test_an_address_that_does_not_answer_gives_way_to_the_next() -> None:
    async with receiving() as crm:
        outward = Outward(allowed_of("127.0.0.0/8"), leading(["127.0.0.2", "127.0.0.1"]))
        assert await reason(outward, f"http://crm.example.com:{crm.port}/") == "204"


async def test_plain_http_goes_to_nobody_who_is_not_allowed() -> None:
    assert await reason(Outward(resolve=leading([PUBLIC])), "http://crm.example.com/") == "inward"


@pytest.mark.parametrize("allowed", ["crm.example.com", "127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])
async def test_who_is_allowed_is_called(allowed: str) -> None:
    async with receiving() as crm:
        outward = Outward(allowed_of(allowed), leading(["127.0.0.1"]))
        assert await reason(outward, f"http://crm.example.com:{crm.port}/") == "204"
        assert crm.got[0].head["host"] == f"crm.example.com:{crm.port}"


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as crm, receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await reason(Outward(allowed_of("127.0.0.1")), crm.url) == "204"
        assert (len(crm.got), len(proxy.got)) == (1, 0)


async def test_a_socket_of_this_machine_is_no_way_out() -> None:
    with pytest.raises(Inward):
        await CheckedNetwork(Allowed(), leading([PUBLIC])).connect_unix_socket("/run/redis.sock")


class Tls:
    """An endpoint with a certificate for one name, made by an authority that nobody knows."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate, secret = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, secret)

    def trusted(self) -> ssl.SSLContext:
        """What a client has that knows the authority."""
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate for crm.example.com."""
    return Tls(tmp_path, "crm.example.com")


@pytest.fixture
async def secure(tls: Tls) -> AsyncIterator[Receiver]:
    """An endpoint behind TLS."""
    receiver = Receiver()
    receiver.answer = saying()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0, ssl=tls.context)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()


@pytest.mark.parametrize(
    ("name", "knows", "said"),
    [("crm.example.com", True, "204"), ("crm.example.com", False, "tls"), ("other.example.com", True, "tls")],
)
async def test_tls_goes_by_the_name_though_the_address_is_called(
    tls: Tls, secure: Receiver, name: str, knows: bool, said: str
) -> None:
    outward = Outward(allowed_of("127.0.0.1"), leading(["127.0.0.1"]), tls.trusted() if knows else None)
    assert await reason(outward, f"https://{name}:{secure.port}/") == said
    assert len(secure.got) == int(said == "204")


def test_the_public_address_of_these_tests_is_public() -> None:
    assert ip_address(PUBLIC).is_global
