"""Settings: read once, strictly, with the remedy in each refusal."""

from pathlib import Path

import pytest

from service.settings import SettingsInvalid, is_loopback, read_settings


def test_defaults_lie_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = read_settings()
    assert settings.database == f"sqlite:///{tmp_path}/archfront/archfront.db"
    assert settings.artifacts == f"{tmp_path}/archfront/artifacts"
    assert (settings.host, settings.port) == ("127.0.0.1", 8731)
    assert settings.times.ttl_s == 60.0


def test_the_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHFRONT_PORT", "9000")
    monkeypatch.setenv("ARCHFRONT_LEASE_TTL_S", "120")
    assert read_settings().port == 9000
    settings = read_settings(port=9001, host=None)
    assert (settings.port, settings.lease_ttl_s, settings.host) == (9001, 120.0, "127.0.0.1")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"port": 70_000}, "port"),
        ({"heartbeat_s": 59.0}, "below lease_ttl_s"),
        ({"log_format": "xml"}, "log_format"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_refusals_name_the_setting(given: dict[str, object], part: str) -> None:
    with pytest.raises(SettingsInvalid, match=part):
        read_settings(**given)


def test_a_mistyped_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHFRONT_LEASE_TTL", "30")
    with pytest.raises(SettingsInvalid, match="Did you mean ARCHFRONT_LEASE_TTL_S"):
        read_settings()


def test_variables_of_workers_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHFRONT_WORKER_PORT", "1")
    monkeypatch.setenv("ARCHFRONT_TOKEN", "x")
    read_settings()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_only_loopback_needs_no_word(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours
    settings = read_settings(host=host)
    if is_ours:
        settings.check_bind()
    else:
        with pytest.raises(SettingsInvalid, match="--allow-remote"):
            settings.check_bind()
        read_settings(host=host, allow_remote=True).check_bind()
