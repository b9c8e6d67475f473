"""The TLS context of the mail listeners: loaded once, renewed when its files change; a self-made one in the trial."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from posthouse.configuration import Configuration

_log = logging.getLogger(__name__)
TRIAL_DAYS = 3650
RENEW_BEFORE = timedelta(days=30)
HINT = "; start posthouse as root with `user` set: then root reads them for it, also after a renewal"


class CertificateError(Exception):
    """The certificate or its key cannot be used; the text names the file and what is wrong."""


class NotOurs(CertificateError):
    """This user may not read them."""


class Keeper(Protocol):
    """Somebody who may read files that we may not."""

    def look(self) -> tuple[object, ...]:
        """What changes when a file changes. Raises OSError."""

    def read(self) -> tuple[bytes, bytes]:
        """The certificates and the key, in PEM. Raises OSError."""


class Certificates:
    """One server-side context for all listeners. `refresh` looks at the files and loads them when they changed.

    With a `keeper` the files are his to read, not ours.
    """

    def __init__(self, certificate: Path, key: Path, keeper: Keeper | None = None) -> None:
        """Raises CertificateError."""
        self._certificate, self._key, self._keeper = certificate, key, keeper
        self._name, self._complained = f"{certificate} and {key}", False
        try:
            self._seen = self._signature()
            with self._files() as (pem, secret):
                self.context = _context(pem, secret, self._name)
        except OSError as error:
            raise CertificateError(str(error)) from error

    def changed(self) -> bool:
        """Whether `refresh` has something to do. Costs two stat calls, or a question to the keeper: ask in a thread."""
        try:
            return self._signature() != self._seen
        except OSError:
            return True

    def refresh(self) -> bool:
        """Load the files again when they changed since the last look; True when new handshakes use new ones.

        While the pair does not fit (a renewal half done, a key that
        cannot be read), the certificate in use stays, and every look tries again.
        """
        try:
            signature = self._signature()
            if signature == self._seen:
                return False
            with self._files() as (pem, secret):
                _context(pem, secret, self._name)  # so that a misfit never touches the context in use
                self.context.load_cert_chain(pem, secret)
        except (CertificateError, OSError) as error:
            if not self._complained:
                _log.warning("The renewed certificate is not usable, the old one stays in use: %s", error)
            self._complained = True
            return False
        self._seen, self._complained = signature, False
        return True

    def _signature(self) -> tuple[object, ...]:
        if self._keeper is not None:
            return self._keeper.look()
        found: list[object] = []
        for path in (self._certificate, self._key):
            try:
                facts = path.stat()  # follows the symbolic links of ACME clients
                found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
            except OSError:
                found.append(None)
        return tuple(found)

    @contextlib.contextmanager
    def _files(self) -> Iterator[tuple[Path, Path]]:
        """The files to load from. What the keeper read lies in memory that has no name and is gone afterwards."""
        if self._keeper is None:
            yield self._certificate, self._key
            return
        with contextlib.ExitStack() as stack:
            yield tuple(_unnamed(octets, stack) for octets in self._keeper.read())  # type: ignore[misc]


def _unnamed(octets: bytes, stack: contextlib.ExitStack) -> Path:
    handle = os.memfd_create("tls", os.MFD_CLOEXEC)
    stack.callback(os.close, handle)
    os.write(handle, octets)
    return Path(f"/proc/self/fd/{handle}")


def _context(certificate: Path, key: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8314 §3, RFC 8996
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM in them").lower().replace("_", " ")
        raise CertificateError(f"{name} are not a certificate and its key: {reason}") from error
    except OSError as error:
        words = f"{name}: one of them cannot be read: {error.strerror}"
        if isinstance(error, PermissionError):
            raise NotOurs(words + HINT) from error
        raise CertificateError(words) from error
    return context


def certificates_for(configuration: Configuration, now: float, keeper: Keeper | None = None) -> Certificates | None:
    """The configured certificate; in the trial a self-made one; else None: no TLS. Raises CertificateError.

    `now` in seconds since 1970; `keeper` reads the configured files where we may not.
    """
    if configuration.tls.certificate:
        return Certificates(Path(configuration.tls.certificate), Path(configuration.tls.key), keeper)
    if not configuration.trial:
        return None
    folder = configuration.data / "tls"
    certificate, key = folder / "trial.pem", folder / "trial.key"
    if not _usable(certificate, key, now):
        make_own(certificate, key, [configuration.host, "localhost", "127.0.0.1", "::1"], now)
    return Certificates(certificate, key)


def complaints(configuration: Configuration, now: float) -> list[str]:
    """What is wrong with a certificate of [tls] that can be used: a sentence each. `now` in seconds since 1970.

    Its names (RFC 9525 §6.3) lack our host's, it has ended, or others on this machine may read the key. What this
    process may not look at itself is not complained about.
    """
    certificate, key = Path(configuration.tls.certificate), Path(configuration.tls.key)
    if not configuration.tls.certificate:
        return []
    found = []
    with contextlib.suppress(OSError):
        if key.stat().st_mode & 0o007:
            found.append(f"{key} can be read or changed by everybody on this machine: chmod 640 {key}")
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        known = set()
    except (OSError, ValueError):
        return found
    host = configuration.host.lower()
    if not known & {host, f"*.{host.partition('.')[2]}"}:
        found.append(f"{certificate} is not for {host}, the name that MX records and clients know us by")
    if loaded.not_valid_after_utc <= datetime.fromtimestamp(now, UTC):
        found.append(f"{certificate} has ended on {loaded.not_valid_after_utc:%Y-%m-%d}")
    return found


def _usable(certificate: Path, key: Path, now: float) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        _context(certificate, key, str(certificate))
    except (OSError, ValueError, CertificateError):
        return False
    return loaded.not_valid_after_utc - RENEW_BEFORE > datetime.fromtimestamp(now, UTC)


def make_own(certificate: Path, key: Path, names: Iterable[str], now: float) -> None:
    """Write a self-signed certificate for `names` (host names and addresses) and its key, readable by us alone.

    It is valid from a day before `now` (seconds since 1970), for clocks that are slow.
    """
    secret = ec.generate_private_key(ec.SECP256R1())
    today = datetime.fromtimestamp(now, UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Posthouse trial")])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=TRIAL_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(
        key,
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        0o600,
    )
    _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Put a whole file in place at once, so that several processes that start together see no half of one."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        made.unlink()
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    made.rename(path)
