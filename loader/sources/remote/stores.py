"""Opens buckets with the credentials that the tools of each cloud would find."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loader.errors import SourceError
from loader.sources.remote.address import Address
from loader.sources.remote.object_faults import credentials_hint

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_CLIENT: ClientConfig = {
    "connect_timeout": "10s",
    # As it comes, a request may take 30 s, its body included: less than a load may take to use one.
    "timeout": "30d",
    "read_timeout": "60s",
    "user_agent": "runqy-loader",
}
_TRUE = ("1", "true", "t", "yes", "y", "on")


def _client(endpoint: str | None) -> ClientConfig:
    if endpoint and not _is_endpoint(endpoint):
        raise SourceError(
            "the endpoint of the environment or of the profile does not begin with https:// or http:// and a host, or "
            "its port is no number",
            "Write https://HOST, or http://HOST:PORT for a server without TLS",
        )
    # As the tools of the clouds do: whoever writes http:// means it.
    return {**_CLIENT, "allow_http": (endpoint or "").startswith("http://")}


def _is_endpoint(text: str) -> bool:
    """Whether this is a URL of HTTP with a host, and with a port that is a number or without one."""
    try:
        parts = urlsplit(text)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_place and text.startswith(("https://", "http://")) and not any(mark.isspace() for mark in text)


def _retries() -> RetryConfig:
    from datetime import timedelta

    second = timedelta(seconds=1)
    # ``RemoteFile`` asks again for as long as that is of use, so this is short.
    return {
        "max_retries": 3,
        "retry_timeout": 20 * second,
        "backoff": {"init_backoff": second / 10, "max_backoff": 2 * second, "base": 2},
    }


def open_store(address: Address) -> ObjectStore:
    """The store of a bucket. No request is made, except for credentials.

    Raises:
        SourceError: There are no credentials, or they cannot be used.
    """
    try:
        if address.scheme == "s3":
            return _s3(address)
        if address.scheme == "gs":
            return _gs(address)
        from obstore.store import AzureStore

        endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT") or os.environ.get("AZURE_ENDPOINT")
        return AzureStore(address.host, client_options=_client(endpoint), retry_config=_retries())
    except SourceError:
        raise
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{address.scheme}://{address.host} cannot be opened: {line}", credentials_hint(address.scheme)
        ) from error


def _gs(address: Address) -> ObjectStore:
    """A bucket of Google Cloud Storage, or of another server with its API, as Google's own tools would find that: an
    emulator is asked without credentials."""
    from obstore.store import GCSStore

    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator and "://" not in emulator:
        emulator = f"http://{emulator}"
    endpoint = emulator or os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE")
    more: dict[str, Any] = {"base_url": endpoint.rstrip("/")} if endpoint else {}
    if emulator:
        # By ``skip_signature``, only reads are without credentials (obstore 0.12).
        no_login = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        more["service_account_key"] = json.dumps({"disable_oauth": True, **no_login})
    client = _client(endpoint)
    # Otherwise an object with Content-Encoding gzip comes decompressed, and from its beginning alone.
    client["default_headers"] = {"accept-encoding": "gzip"}
    return GCSStore(address.host, client_options=client, retry_config=_retries(), **more)


def _s3(address: Address) -> ObjectStore:
    """A bucket of S3, as AWS's own tools would find it: environment, profiles, SSO, roles.

    obstore knows the environment and roles of machines; boto3 knows the files in ``~/.aws`` as well.
    """
    import botocore.session
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    session: Any = botocore.session.Session()
    more: dict[str, Any] = {}
    try:
        profile = session.get_scoped_config()
        region = session.get_config_variable("region")
        if os.environ.get("AWS_SKIP_SIGNATURE", "").lower() not in _TRUE:
            more["credential_provider"] = provider = Boto3CredentialProvider(session)
            provider()  # an expired login of SSO is told here, not by each request
    except (BotoCoreError, ValueError) as error:
        why = "none are found" if isinstance(error, ValueError) else str(error)
        raise SourceError(
            f"no credentials for s3://{address.host}: {why}",
            f"{credentials_hint('s3')}. For a public bucket: AWS_SKIP_SIGNATURE=true",
        ) from error
    if region:
        more["region"] = region
    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    )
    if endpoint := endpoint or profile.get("endpoint_url"):
        more["endpoint"] = endpoint
    return S3Store(address.host, client_options=_client(endpoint), retry_config=_retries(), **more)
