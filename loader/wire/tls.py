"""TLS: the options of a URL, and the meaning of a failed handshake."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loader.errors import UsageError

TLS_OPTIONS = {
    "ssl_ca_certs": "a PEM file with the certificates of the CAs to trust",
    "ssl_ca_path": "a directory of such certificates",
    "ssl_ca_data": "such certificates as text",
    "ssl_cert_reqs": "required, optional or none",
    "ssl_check_hostname": "true or false",
    "ssl_certfile": "a PEM file with the client's certificate",
    "ssl_keyfile": "a PEM file with the client's key",
    "ssl_password": "the password of that key",
    "ssl_min_version": "771 for TLS 1.2, 772 for TLS 1.3",
    "ssl_ciphers": "cipher suites as OpenSSL writes them",
    "ssl_include_verify_flags": "flags of Python's ssl.VerifyFlags, separated by commas",
    "ssl_exclude_verify_flags": "flags of Python's ssl.VerifyFlags, separated by commas",
}
"""Parameters of a ``rediss://`` URL, as redis-py accepts them, with their allowed values."""

_VERIFY_MODES = ("required", "optional", "none")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

# Reasons of X509_verify_cert, as OpenSSL numbers them (openssl/x509_vfy.h).
_CERTIFICATE_FAULTS = {
    10: ("the server's certificate has expired", "Renew it on the server"),
    9: ("the server's certificate is not valid yet", "Compare the clocks of both machines"),
    18: ("the server's certificate is self-signed", "Give it, or its CA, with ssl_ca_certs=FILE in the URL"),
    19: ("the CA of the server's certificate is not trusted here", "Give the CA with ssl_ca_certs=FILE in the URL"),
    20: ("the CA of the server's certificate is not known here", "Give the CA with ssl_ca_certs=FILE in the URL"),
    62: ("the server's certificate is for another host name", "Use a name that is in the certificate"),
    64: ("the server's certificate is for another address", "Use a name or an address that is in the certificate"),
}
_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server wants a client certificate",
    "HANDSHAKE_FAILURE": "the server refuses the handshake: it may want a client certificate, or other ciphers",
    "UNKNOWN_CA": "the server does not trust the CA of the client certificate",
    "BAD_CERTIFICATE": "the server refuses the client certificate",
    "CERTIFICATE_EXPIRED": "the client certificate has expired",
    "PROTOCOL_VERSION": "the server speaks another version of TLS",
}
_CLIENT_HINT = "Give one with ssl_certfile=FILE&ssl_keyfile=FILE in the URL"


def tls_options(url: str) -> dict[str, Any]:
    """The ``ssl_…`` parameters of a URL, as redis-py parses them. Raises ValueError if one has an impossible value."""
    from redis.asyncio.connection import parse_url  # 40 ms, as in tls_context: other loads do not need redis-py

    return {name: value for name, value in parse_url(url).items() if name in TLS_OPTIONS}


def tls_context(options: Mapping[str, Any], option: str) -> ssl.SSLContext:
    """The context for a connection.

    Args:
        options: ``ssl_…`` parameters, from ``tls_options``.
        option: Where the URL was given, such as ``--redis``, for errors.

    Raises:
        UsageError: A value is not allowed, or a file cannot be used.
    """
    import redis.exceptions
    from redis.asyncio.connection import RedisSSLContext

    given = {name.removeprefix("ssl_"): value for name, value in options.items()}
    if given.setdefault("cert_reqs", "required") not in _VERIFY_MODES:
        raise _wrong(option, "ssl_cert_reqs")
    if given.setdefault("check_hostname", given["cert_reqs"] != "none") not in (True, False):
        raise _wrong(option, "ssl_check_hostname")
    if given.get("min_version", 772) not in (771, 772):
        raise _wrong(option, "ssl_min_version")
    for name in _FILES:
        if name in options:
            _require_readable(Path(options[name]), name, option)
    if "ssl_ca_path" in options and not Path(options["ssl_ca_path"]).is_dir():
        raise UsageError(f"{option}: ssl_ca_path {options['ssl_ca_path']} is no directory", "Check the path")
    _require_usable(given, option)
    try:
        return RedisSSLContext(**given).get()
    except (OSError, ValueError, redis.exceptions.RedisError) as error:
        raise UsageError(f"{option}: TLS cannot be set up: {error}", "Check the ssl_… parameters") from error


def _wrong(option: str, name: str) -> UsageError:
    return UsageError(f"{option}: {name} must be {TLS_OPTIONS[name]}")


def _require_readable(path: Path, name: str, option: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"{option}: {name} {path}: {error.strerror}", "Check the path and its permissions") from error


def _require_usable(given: Mapping[str, Any], option: str) -> None:
    """Loads each file separately, so that an error names the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "ca_certs" in given:
        try:
            context.load_verify_locations(cafile=given["ca_certs"])
        except ssl.SSLError as error:
            raise UsageError(f"{option}: ssl_ca_certs {given['ca_certs']} holds no PEM certificate") from error
    if "ca_data" in given:
        try:
            context.load_verify_locations(cadata=given["ca_data"])
        except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: it is not ASCII
            raise UsageError(f"{option}: ssl_ca_data holds no PEM certificate") from error
    if "keyfile" in given and "certfile" not in given:
        raise UsageError(f"{option}: ssl_keyfile needs ssl_certfile", "Give the certificate that belongs to the key")
    if "certfile" in given:
        try:
            # With no password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(given["certfile"], given.get("keyfile"), given.get("password") or (lambda: b""))
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"{option}: ssl_certfile and ssl_keyfile are no usable pair: {_reason(error)}",
                "Both must be PEM and belong together; an encrypted key needs ssl_password",
            ) from error
    if "ciphers" in given:
        try:
            context.set_ciphers(given["ciphers"])
        except ssl.SSLError as error:
            raise UsageError(f"{option}: ssl_ciphers names no cipher suite that is known here") from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else os.fspath(str(error))


def explain_tls(error: BaseException) -> tuple[str, str] | None:
    """The meaning of a TLS failure, and what a user must do; None if the failure is not known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE_FAULTS.get(error.verify_code)
        return known or (f"the server's certificate is refused: {error.verify_message}", "Check the certificate")
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"):
        return "the port does not speak TLS", "Use redis:// in place of rediss://, or the server's TLS port"
    for alert, meaning in _ALERTS.items():
        if reason.endswith(alert):
            return meaning, _CLIENT_HINT
    return None
