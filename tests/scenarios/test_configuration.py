"""The configuration is refused with line and reason, and found where it should be."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.configuration import ConfigurationError


def checked(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`posthouse check-config` as a person starts it, in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name != "POSTHOUSE_CONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "posthouse", *words, "check-config"],
        cwd=folder, env={**kept, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def complaint(folder: Path, text: str) -> str:
    path = folder / configuration.FILE_NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        configuration.load(path)
    return str(caught.value).replace(f"{path}, ", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hostname = "a"\ncolour = "red"\n', "line 2: colour is not a setting; known here: "),
        ('[limits]\n\nmessage_sise = 5\n', "line 3: limits.message_sise is not a setting"),
        ('[limits]\nmessage_size = "big"\n', "line 2: limits.message_size must be a whole number, not 'big'"),
        ("[limits]\nrecipients = -1\n", "line 2: limits.recipients must not be negative"),
        ('[reception]\ntransfer = ["here"]\n', "line 2: reception.transfer must be ADDRESS:PORT"),
        ('[reception]\ntransfer = "0.0.0.0:25"\n', "line 2: reception.transfer must be a list of strings"),
        ('[web]\nbase_url = "example.com"\n', "line 2: web.base_url must be an address that begins with http"),
        ('[database]\nurl = "mysql://x"\n', "line 2: database.url must begin with sqlite:/// or postgresql://"),
        ('[tls]\nkey = "/nowhere/key.pem"\n', "line 2: tls.key needs both certificate and key"),
        ('[reception]\nrelay_networks = ["10.0.0.1/8"]\n', "line 2: reception.relay_networks must be networks"),
        ("delivery = 5\n", "line 1: delivery must be a table: [delivery]"),
        ('hostname = "a\n', "is not TOML"),
        ("[limits]\nhard_errors = 1\n", "line 2: limits.hard_errors must not be below soft_errors"),
        ("[limits]\nidle_seconds = true\n", "line 2: limits.idle_seconds must be a number, not True"),
        ('\n[policy.domain."a b"]\nspf = "tag"\n', "line 2: policy.domain.a b must be a domain"),
        ('[policy.mailing_list."@x"]\nspf = "tag"\n', "must be the posting address of a list"),
        ('[policy.domain."a.example"]\nblocked = "tag"\n', "line 2: policy.domain.a.example.blocked is decided"),
        ('[policy.mailing_list."g@a.example"]\nearly_talker = "tag"\n', "policy.mailing_list.g@a.example.early"),
        ('\n[scanners.spam]\nkind = "spamd"\n', "line 2: scanners.spam.servers must name at least one server"),
        ('\n[dns_lists.x]\nzone = "x.example"\ncodes = { "127" = 1.0 }\n', "line 4: dns_lists.x.codes.127 must"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused_with_line_and_reason(tmp_path: Path, text: str, said: str) -> None:
    assert said in complaint(tmp_path, text)


def test_users_that_this_machine_does_not_know_are_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "posthouse.toml").write_text(
        'data_directory = "data"\nuser = "no-such-one"\n[pipes]\nuser = "nor-this"\n', encoding="utf-8"
    )
    said = checked(tmp_path).stderr
    assert "Warning: user: there is no user 'no-such-one' on this machine: useradd --system no-such-one\n" in said
    assert "Warning: pipes.user: there is no user 'nor-this'" in said
    assert "belongs to" not in said


def test_a_service_that_may_not_become_the_user_of_programs_is_told_before_mail_waits(tmp_path: Path) -> None:
    pipes = '[pipes]\nuser = "daemon"\n'
    for service, more, doubted in (
        ("nobody", "", True), ("nobody", 'become = ["/usr/bin/sudo"]\n', False), ("daemon", "", False),
        ("root", "", False),
    ):  # fmt: skip
        (tmp_path / "posthouse.toml").write_text(f'data_directory = "data"\nuser = "{service}"\n{pipes}{more}')
        said = "pipes.user: the service runs as nobody and may not become daemon" in checked(tmp_path).stderr
        assert said == doubted, (service, more)


def test_every_complaint_is_told_at_once(tmp_path: Path) -> None:
    assert complaint(tmp_path, 'colour = 1\n[web]\nthreads = "many"\n[limits]\nhops = -2\n').count("\n") == 2


def test_the_program_refuses_a_bad_file_with_two_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "posthouse.toml").write_text("[limits]\nhops = -1\n")
    ran = checked(tmp_path)
    assert ran.returncode == 2 and ran.stdout == ""
    assert "posthouse.toml, line 2: limits.hops must not be negative" in ran.stderr and "Traceback" not in ran.stderr


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {}
    for name in ("named", "environment", "here", "here/var"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        places[name] = tmp_path / name / "posthouse.toml"
        places[name].write_text(f'hostname = "{name.replace("/", "-")}.example"\n')
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("POSTHOUSE_CONFIG", str(places["environment"]))

    assert configuration.find(str(places["named"])) == places["named"]
    assert configuration.find() == places["environment"]
    monkeypatch.delenv("POSTHOUSE_CONFIG")
    assert configuration.find() == places["here"]
    places["here"].unlink()
    assert configuration.find() == places["here/var"]
    places["here/var"].unlink()
    assert configuration.find() in (None, Path("/etc/posthouse/posthouse.toml"))
    with pytest.raises(ConfigurationError, match="no such file; create it or name another"):
        configuration.find(str(tmp_path / "missing.toml"))


def test_what_is_in_force_is_printed_as_a_file_that_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "posthouse.toml").write_text('hostname = "mx.example"\n[limits]\nhops = 7\n[web]\nthreads = 3\n')
    ran = checked(tmp_path)
    assert ran.returncode == 0, ran.stderr
    printed = tmp_path / "printed.toml"
    printed.write_text(ran.stdout)
    again, first = configuration.load(printed), configuration.load(tmp_path / "posthouse.toml")
    assert again == first and first.limits.hops == 7


def test_a_password_is_not_printed() -> None:
    import dataclasses

    chosen = dataclasses.replace(
        configuration.Configuration(), database=configuration.Database(url="postgresql://me:secret@db/post")
    )
    assert "secret" not in configuration.describe(chosen) and "me:***@db" in configuration.describe(chosen)


def test_lists_of_networks_include_each_other_and_a_name_nobody_knows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text(
        '[networks]\noffice = ["192.0.2.0/24", "@far"]\nfar = ["2001:db8::/32", "@office"]\n'
        '[reception]\nrelay_networks = ["@office", "198.51.100.0/24"]\n'
    )
    chosen = configuration.load(path)
    assert chosen.hosts(chosen.reception.relay_networks) == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.0/24"]
    assert configuration.load(path).networks == chosen.networks
    path.write_text(configuration.describe(chosen))
    assert configuration.load(path) == configuration.load(path) and "@office" in path.read_text()

    path.write_text('[networks]\noffice = ["@fra"]\n[reception]\nrelay_networks = ["@ofice"]\n')
    with pytest.raises(ConfigurationError) as refusal:
        configuration.load(path)
    assert "line 2: networks.office names @fra" in str(refusal.value)
    assert "line 4: reception.relay_networks names @ofice" in str(refusal.value)


def test_a_machine_is_not_asked_for_a_name_that_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("the machine was asked for its name")

    for name in ("gethostname", "getfqdn"):
        monkeypatch.setattr(socket, name, asked)
    path = tmp_path / "posthouse.toml"
    path.write_text('hostname = "mx.club.example"\norigin = "club.example"\n[reception]\nbanner = "Mail"\n')
    chosen = configuration.load(path)
    assert (chosen.host, chosen.sending_domain, chosen.reception.banner) == ("mx.club.example", "club.example", "Mail")
    path.write_text('hostname = "mx.club.example"\n')
    assert configuration.load(path).sending_domain == "mx.club.example"
