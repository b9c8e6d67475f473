"""The certificate: found, refused with a sentence, renewed while running."""

from __future__ import annotations

import dataclasses
import logging
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from posthouse.configuration import Configuration, Tls, load
from posthouse.operations.cli import cli
from posthouse.reception.certificates import CertificateError, Certificates, certificates_for, complaints, make_own


def shown_to(client_trust: Path, server: ssl.SSLContext, name: str) -> bytes:
    """The certificate that a client which trusts `client_trust` sees, the host name verified."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(client_trust)).wrap_bio(back, there, server_hostname=name)
    serving = server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client, serving):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def test_a_trial_makes_itself_a_certificate_once_that_clients_can_verify(tmp_path: Path) -> None:
    chosen = Configuration(data_directory=str(tmp_path), hostname="mx.lists.example", trial=True)
    made = certificates_for(chosen, time.time())
    assert made is not None
    pem = tmp_path / "tls" / "trial.pem"
    for name in ("mx.lists.example", "localhost", "127.0.0.1", "::1"):
        assert shown_to(pem, made.context, name)
    assert os.stat(tmp_path / "tls" / "trial.key").st_mode & 0o777 == 0o600
    before = pem.read_bytes()
    certificates_for(chosen, time.time())
    assert pem.read_bytes() == before


def test_a_broken_trial_certificate_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "trial.pem").write_text("rubbish")
    chosen = Configuration(data_directory=str(tmp_path), hostname="mx.lists.example", trial=True)
    assert certificates_for(chosen, time.time()) is not None


def test_without_a_certificate_there_is_no_tls_outside_the_trial(tmp_path: Path) -> None:
    assert certificates_for(Configuration(data_directory=str(tmp_path)), time.time()) is None


@pytest.mark.parametrize("wrong", ["rubbish", "other-key", "missing"])
def test_what_cannot_be_used_is_refused_with_the_names_of_the_files(tmp_path: Path, wrong: str) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, ["mx.lists.example"], time.time())
    if wrong == "rubbish":
        pem.write_text("rubbish")
    elif wrong == "other-key":
        make_own(tmp_path / "d.pem", key, ["mx.lists.example"], time.time())
    else:
        key.unlink()
    chosen = dataclasses.replace(Configuration(), tls=Tls(str(pem), str(key)))
    with pytest.raises(CertificateError, match=r"c\.(pem|key)"):
        certificates_for(chosen, time.time())


def test_a_renewed_certificate_is_used_for_the_next_handshake(tmp_path: Path) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, ["mx.lists.example"], time.time())
    certificates = Certificates(pem, key)
    first = shown_to(pem, certificates.context, "mx.lists.example")
    assert not certificates.refresh()
    make_own(pem, key, ["mx.lists.example"], time.time())
    assert certificates.refresh()
    assert shown_to(pem, certificates.context, "mx.lists.example") != first


def test_links_are_followed_at_each_renewal_as_acme_clients_lead_them(tmp_path: Path) -> None:
    file, links = tmp_path / "posthouse.toml", (tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    file.write_text('[tls]\ncertificate = "fullchain.pem"\nkey = "privkey.pem"\n')

    def issued(number: int) -> None:
        made = tmp_path / f"fullchain{number}.pem", tmp_path / f"privkey{number}.pem"
        make_own(*made, ["mx.lists.example"], time.time())
        for link, path in zip(links, made, strict=True):
            link.unlink(missing_ok=True)
            link.symlink_to(path)

    issued(1)
    certificates = certificates_for(load(file), time.time())
    assert certificates is not None
    issued(2)
    assert certificates.changed() and certificates.refresh()
    assert shown_to(tmp_path / "fullchain2.pem", certificates.context, "mx.lists.example")


def test_a_half_done_renewal_keeps_the_old_certificate_until_the_pair_fits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, ["mx.lists.example"], time.time())
    old = tmp_path / "old.pem"
    old.write_bytes(pem.read_bytes())
    certificates = Certificates(pem, key)
    make_own(pem, tmp_path / "next.key", ["mx.lists.example"], time.time())
    with caplog.at_level(logging.WARNING):
        assert not certificates.refresh() and not certificates.refresh()
    assert len(caplog.records) == 1, "one complaint, not one each second"
    assert shown_to(old, certificates.context, "mx.lists.example")
    (tmp_path / "next.key").rename(key)
    assert certificates.refresh()
    assert shown_to(pem, certificates.context, "mx.lists.example")


def test_one_certificate_serves_every_name_that_is_in_it_until_it_is_dropped(tmp_path: Path) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    names = ["mx.lists.example", "lists.example", "temp.example"]
    make_own(pem, key, names, time.time())
    certificates = Certificates(pem, key)
    for name in names:
        shown_to(pem, certificates.context, name)
    make_own(pem, key, names[:2], time.time())
    assert certificates.refresh()
    shown_to(pem, certificates.context, "lists.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shown_to(pem, certificates.context, "temp.example")


def test_check_config_names_a_certificate_that_does_not_fit_its_key(tmp_path: Path) -> None:
    make_own(tmp_path / "c.pem", tmp_path / "c.key", ["mx.lists.example"], time.time())
    make_own(tmp_path / "other.pem", tmp_path / "c.key", ["mx.lists.example"], time.time())
    file = tmp_path / "posthouse.toml"
    file.write_text('hostname = "mx.lists.example"\n[tls]\ncertificate = "c.pem"\nkey = "c.key"\n')
    asked = [sys.executable, "-m", "posthouse", "--config", str(file), "check-config"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "c.pem" in said.stderr and "key values mismatch" in said.stderr and "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("names", "mode", "now", "words"),
    [
        (["mx.lists.example", "lists.example"], 0o600, 0, []),
        (["*.lists.example"], 0o640, 0, []),
        (["www.lists.example", "*.example"], 0o600, 0, ["is not for mx.lists.example"]),
        (["mx.lists.example"], 0o644, 0, ["can be read or changed by everybody"]),
        (["mx.lists.example"], 0o600, 4000, ["has ended on"]),
    ],
)
def test_names_that_are_lacking_and_keys_that_others_may_read_are_complained_about(
    tmp_path: Path, names: list[str], mode: int, now: int, words: list[str]
) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, names, time.time())
    key.chmod(mode)
    chosen = Configuration(hostname="mx.lists.example", tls=Tls(certificate=str(pem), key=str(key)))
    found = complaints(chosen, time.time() + now * 86400)
    assert len(found) == len(words) and all(word in one for word, one in zip(words, found, strict=True))
    file = tmp_path / "posthouse.toml"
    file.write_text('hostname = "mx.lists.example"\n[tls]\ncertificate = "c.pem"\nkey = "c.key"\n')
    said = CliRunner().invoke(cli, ["--config", str(file), "check-config"], prog_name="posthouse")
    assert said.exit_code == 0 and (now or all(f"Warning: [tls] {one}" in said.stderr for one in found))
