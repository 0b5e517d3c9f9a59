"""What the errors of obstore 0.12 mean.

They have few kinds, and a text with the answer of the server: its status, and the XML of its error. A wrong bucket, and
with some servers a wrong key, come as ``FileNotFoundError`` like a missing object. The text may have a URL with a
signature and, of a wrong signature, what was signed: none of it is shown but the code and the message of the server.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})")
_SECRET = re.compile(r"\?[^\s\"'<>]*")
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"}
_NO_OBJECT = {"NoSuchKey", "BlobNotFound", "NoSuchVersion", ""}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_USE_AZURE_CLI=true",
}
_ENDPOINTS = {
    "s3": "AWS_ENDPOINT_URL and AWS_REGION",
    "gs": "the network, STORAGE_EMULATOR_HOST and CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
}
_MOVED = ("301", "307", "308")
_NO_ACCESS = ("401", "403")
_BUSY = ("408", "429")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened.

    Attributes:
        what: For people, without secrets.
        hint: What to do; empty if only waiting helps.
        is_missing: There is no such object.
        is_changed: The object has not the content that was asked for.
        may_pass: To ask again may help.
        is_brief: The server has sent no more than a status.
    """

    what: str
    hint: str = ""
    is_missing: bool = False
    is_changed: bool = False
    may_pass: bool = False
    is_brief: bool = False


def credentials_hint(scheme: str) -> str:
    """Where credentials are found, as one sentence."""
    return f"Set {_CREDENTIALS[scheme]}; docs/remote.md lists all ways"


def fault_of(error: Exception, scheme: str, bucket: str, *, rights: str = "to list and to read") -> Fault:
    """What an error of obstore means.

    Args:
        rights: What the request needs, for hints.
    """
    text = str(error)
    is_brief = _STATUS.search(text) is not None and _CODE.search(text) is None
    return replace(_fault_of(error, scheme, bucket, rights), is_brief=is_brief)


def no_bucket(scheme: str, bucket: str) -> Fault:
    """There is no such bucket."""
    return Fault(f"there is no bucket {bucket}", f"Check its name, and {_ENDPOINTS[scheme]}")


def _fault_of(error: Exception, scheme: str, bucket: str, rights: str) -> Fault:
    text, kind = str(error), type(error).__name__
    found, code, message = _STATUS.search(text), _CODE.search(text), _MESSAGE.search(text)
    status = "" if found is None else found[1]
    name = "" if code is None else code[1]
    said = ": ".join(part for part in (name, _clean(message[1]) if message is not None else "") if part)
    if kind == "PreconditionError" or status == "412":
        return Fault("it has other content", is_changed=True)
    if name in _NO_BUCKET:
        return no_bucket(scheme, bucket)
    if isinstance(error, FileNotFoundError) or status == "404":
        if name in _NO_OBJECT:
            return Fault("there is no such object", "Check the URL", is_missing=True)
        return Fault(f"the server refuses it ({said})", credentials_hint(scheme))
    if isinstance(error, ValueError) or "path segment" in text or "whilst parsing path" in text:
        return Fault(
            "a key here has an empty part, a dot for a part, or a control character",
            "Keys of this kind are not read: copy the object to another key, or name what is below other folders",
        )
    if "External AWS credential provider" in text or (kind == "UnauthenticatedError" and not status):
        return Fault(
            f"no credentials: {_clean(text.splitlines()[0].rpartition('provider: ')[2])}", credentials_hint(scheme)
        )
    if status in _NO_ACCESS or kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return Fault(
            f"access is denied ({said or status})",
            f"{credentials_hint(scheme)}. The user needs the rights {rights}",
        )
    if "without LOCATION" in text or "region" in said.lower() or status in _MOVED:
        return Fault(
            f"the bucket is in another region ({said or 'the server redirects'})",
            "Set AWS_REGION to the region of the bucket",
        )
    if status in _BUSY or status.startswith("5"):
        return Fault(f"the server answers {said or status}", may_pass=True)
    if status:
        return Fault(f"the server answers {status}{said and f' ({said})'}", f"Check the URL, and {_ENDPOINTS[scheme]}")
    return _of_connection(text, scheme)


def _of_connection(text: str, scheme: str) -> Fault:
    where = _ENDPOINTS[scheme]
    if "dns error" in text or "failed to lookup" in text:
        return Fault(f"the name of the server is not found ({_host(text)})", f"Check {where}", may_pass=True)
    if "ConnectionRefused" in text:
        return Fault(f"{_host(text)} refuses the connection", f"Is the server there? Check {where}", may_pass=True)
    if "builder error" in text:
        return Fault("the endpoint is no URL that can be used", f"Check {where}")
    if "InvalidCertificate" in text or "UnknownIssuer" in text:
        return Fault(
            f"the certificate of {_host(text)} is not trusted",
            "Install the authority that has signed it in the system's store",
        )
    if "InvalidContentType" in text or "InvalidMessage" in text:
        return Fault(f"{_host(text)} does not speak TLS", f"Write http:// in the endpoint, if that is meant: {where}")
    if "kind: Timeout" in text or "timed out" in text:
        return Fault(f"{_host(text)} does not answer in time", may_pass=True)
    if "kind: Connect" in text or "error sending request" in text or "error decoding response body" in text:
        return Fault("the connection was lost", may_pass=True)
    return Fault(_clean(text.partition("\n")[0]) or "the request failed", may_pass=True)


def _host(text: str) -> str:
    found = re.search(r"https?://([^/\s,?]+)", text)
    return "the server" if found is None else found[1].rpartition("@")[2]


def _clean(text: str) -> str:
    """A text of a server or a library as one line without what may be a signature."""
    return _SECRET.sub("?…", html.unescape(" ".join(text.split())))[:300].rstrip(". ")
