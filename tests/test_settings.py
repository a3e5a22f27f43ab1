"""What the operator may set, and what he reads when it is wrong."""

from __future__ import annotations

import multiprocessing
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from ctxhub.settings import CannotStart, Settings, address_of, describe_settings, load_or_make_secret, written


def read(**environ: str) -> Settings:
    return Settings.from_env({f"CTXHUB_{name.upper()}": value for name, value in environ.items()})


def test_with_nothing_set_it_is_a_safe_hub_on_this_machine_alone() -> None:
    settings = read()
    assert (settings.redis_url, settings.durability, settings.host) == (None, "safe", "127.0.0.1")
    assert settings.base_url == "http://127.0.0.1:8080"


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(redis_url="", port="").port == 8080


def test_the_command_line_has_the_last_word() -> None:
    settings = Settings.from_env({"CTXHUB_PORT": "1", "CTXHUB_HOST": "::1"}, port=2, host=None)
    assert (settings.host, settings.port) == ("::1", 2)


def test_what_is_not_ours_in_the_environment_is_left_alone() -> None:
    assert Settings.from_env({"PORT": "1", "CTXHUB_TEST_BROWSER": "x"}) == Settings()


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90", timedelta(seconds=90)),
        ("0.5", timedelta(seconds=0.5)),
        ("500ms", timedelta(seconds=0.5)),
        ("30 s", timedelta(seconds=30)),
        ("15min", timedelta(minutes=15)),
        ("4h", timedelta(hours=4)),
        ("30d", timedelta(days=30)),
        ("PT15M", timedelta(minutes=15)),
    ],
)
def test_lengths_of_time_are_written_as_people_write_them(text: str, span: timedelta) -> None:
    assert read(lease=text).lease == span


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("port", "http", r"CTXHUB_PORT is 'http': Input should be a valid integer"),
        ("port", "70000", r"CTXHUB_PORT is '70000': .* less than or equal to 65535"),
        ("workers", "0", r"CTXHUB_WORKERS is '0'"),
        ("durability", "max", r"CTXHUB_DURABILITY is 'max': .*'fast', 'replicated' or 'safe'"),
        ("keep", "soon", r"CTXHUB_KEEP is 'soon': write a length of time such as 30, 500ms"),
        ("keep", "15m", r"CTXHUB_KEEP is '15m': write a length of time"),
        ("lease", "0", r"CTXHUB_LEASE is '0': it must be longer than nothing"),
        ("redis_url", "localhost:6379", r"CTXHUB_REDIS_URL: write redis://host:port"),
        ("redis_url", "redis+sentinel://a:1,b:2", r"CTXHUB_REDIS_URL: write redis://host:port"),
        ("public_url", "ctx.example.com", r"CTXHUB_PUBLIC_URL: write the whole address"),
        ("public_url", "https://ctx.example.com/?a=1", r"CTXHUB_PUBLIC_URL: write the whole address"),
        ("silence", "chat", r"CTXHUB_SILENCE is 'chat': write channel=time pairs"),
        ("silence", "chat=long", r"CTXHUB_SILENCE\[chat\] is 'long': write a length of time"),
        ("trusted_proxies", "*", r"CTXHUB_TRUSTED_PROXIES is '\*': write addresses or networks"),
        ("log_level", "loud", r"CTXHUB_LOG_LEVEL is 'loud'"),
    ],
)
def test_a_bad_value_names_its_variable_and_the_remedy(name: str, value: str, complaint: str) -> None:
    with pytest.raises(CannotStart, match=complaint) as refusal:
        read(**{name: value})
    assert "\n" not in str(refusal.value)


def test_proxies_are_named_by_address_or_network() -> None:
    named = read(trusted_proxies="10.0.0.7, 10.1.2.3/16,2001:db8::/32").trusted_proxies
    assert named == "10.0.0.7/32,10.1.0.0/16,2001:db8::/32"
    assert read().trusted_proxies is None


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(CannotStart, match=r"CTXHUB_PORT.*; CTXHUB_WORKERS"):
        read(port="x", workers="y")


@pytest.mark.parametrize(
    ("name", "value"), [("master_key", "too-short"), ("admin_key", "two words"), ("admin_key", "é")]
)
def test_a_bad_key_is_not_repeated_in_the_complaint(name: str, value: str) -> None:
    with pytest.raises(CannotStart) as refusal:
        read(**{name: value})
    assert f"CTXHUB_{name.upper()}" in str(refusal.value)
    assert value not in str(refusal.value)


def test_a_password_in_an_address_is_not_repeated_in_the_complaint() -> None:
    with pytest.raises(CannotStart) as refusal:
        read(redis_url="http://:hunter2@localhost")
    assert "hunter2" not in str(refusal.value)


def test_silence_is_set_for_the_channels_named_and_stays_as_it_comes_for_the_rest() -> None:
    settings = read(silence="chat=10min, voice=1h")
    assert settings.silence_of("chat") == timedelta(minutes=10)
    assert settings.silence_of("voice") == timedelta(hours=1)
    assert settings.silence_of("ivr") == timedelta(hours=4)
    assert settings.silence_of("wechat") == timedelta(minutes=30)
    assert read(silence="default=1h").silence_of("wechat") == timedelta(hours=1)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read().port = 1  # type: ignore[misc]


def test_secrets_are_shown_to_another_process_of_the_hub_and_to_nobody_else() -> None:
    settings = read(master_key="0123456789abcdef", admin_key="open-sesame")
    assert Settings.model_validate_json(settings.handed_down()) == settings
    for shown in (repr(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "0123456789abcdef" not in shown
        assert "open-sesame" not in shown


def test_the_reference_lists_every_setting_with_what_it_means() -> None:
    lines = {line.variable: line for line in describe_settings()}
    assert set(lines) == {f"CTXHUB_{name.upper()}" for name in Settings.model_fields}
    assert lines["CTXHUB_LEASE"].default == "15min"
    assert lines["CTXHUB_SILENCE"].default == "voice=4h,ivr=4h,default=30min"
    assert all(line.meaning.endswith(".") or ". " in line.meaning for line in lines.values())


def test_every_default_can_be_written_back_as_it_is_shown() -> None:
    shown = {line.variable: line.default for line in describe_settings() if line.default}
    assert Settings.from_env(shown) == Settings()


def test_a_secret_is_masked_when_written() -> None:
    assert "abcdef" not in written(read(master_key="0123456789abcdef").master_key)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1:80"), ("0.0.0.0", "127.0.0.1:80"), ("::", "[::1]:80"), ("hub", "hub:80")],
)
def test_an_address_can_be_connected_to(host: str, address: str) -> None:
    assert address_of(host, 80) == address


def test_a_public_address_is_what_links_are_built_from() -> None:
    assert read(public_url="https://ctx.example.com/hub/").base_url == "https://ctx.example.com/hub"


def test_the_secrets_made_at_first_start_are_the_owners_alone_and_stay_the_same(tmp_path: Path) -> None:
    first = Settings(data=tmp_path / "data").with_secrets()
    assert first == Settings(data=tmp_path / "data").with_secrets()
    assert first.master_key is not None
    assert first.admin_key is not None
    assert first.master_key != first.admin_key
    assert len(first.master_key.get_secret_value()) >= 32
    for name in ("master.key", "admin.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["admin.key", "master.key"]


def test_given_secrets_leave_no_file(tmp_path: Path) -> None:
    Settings(data=tmp_path, master_key="0123456789abcdef", admin_key="open-sesame").with_secrets()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    load_or_make_secret(path)
    path.chmod(mode)
    with pytest.raises(CannotStart, match=rf"chmod 600 {path}"):
        load_or_make_secret(path)


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    with pytest.raises(CannotStart, match="is empty"):
        load_or_make_secret(path)


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"file/master.key can't be used .*CTXHUB_DATA"):
        load_or_make_secret(tmp_path / "file" / "master.key")


def _load(path: Path) -> str:
    return load_or_make_secret(path).get_secret_value()


def test_hubs_that_start_at_the_same_instant_agree_on_the_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(_load, [tmp_path / "data" / "master.key"] * 16, chunksize=1)
    assert len(set(found)) == 1


def test_a_hub_with_a_server_of_its_own_has_an_archive_in_its_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.archive_url == f"sqlite:///{tmp_path / 'archive.db'}"
    assert settings.with_redis("unix:///somewhere").archive_url == settings.archive_url
    assert Settings.model_validate_json(settings.with_redis("unix:///x").handed_down()).archive_url == (
        settings.archive_url
    )


def test_on_a_redis_that_others_share_there_is_no_archive_unless_it_is_named() -> None:
    assert Settings(redis_url="redis://127.0.0.1").archive_url is None
    named = Settings(redis_url="redis://127.0.0.1", archive="postgresql://db/ctxhub")
    assert named.archive_url == "postgresql://db/ctxhub"
    assert Settings(archive="off").archive_url is None


def test_an_archive_that_is_no_address_is_refused_without_telling_its_password() -> None:
    with pytest.raises(CannotStart, match="sqlite:////path/to/file") as refused:
        Settings.from_env({"CTXHUB_ARCHIVE": "mysql://me:hush@db/x"})
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "durability", "replicas"),
    [
        ("redis://a", "fast", 0), ("redis://a", "replicated", 1), ("redis://a", "safe", 0), ("", "safe", 0),
        ("redis+sentinel://a/hub", "fast", 0), ("redis+sentinel://a/hub", "safe", 1),
        ("redis+cluster://a", "fast", 0), ("redis+cluster://a", "replicated", 1), ("redis+cluster://a", "safe", 1),
    ],
)  # fmt: skip
def test_replicas_are_waited_for_where_durability_asks_and_there_are_any(
    url: str, durability: str, replicas: int
) -> None:
    assert read(redis_url=url, durability=durability).replicas_awaited == replicas
