"""URLs of remote input: what they name, and what is shown of them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.cli.logins import without_logins, without_password
from loader.errors import UsageError
from loader.sources.format import FileSource, InputFile
from loader.sources.remote.address import Address, as_key, hides_something, is_url, parse_address
from loader.sources.remote.pattern import compiled

SECRET = st.text("geheimGEHEIM0123%+=&/:@?#.-~ä", min_size=8, max_size=20)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://b/k/x.jsonl", ("s3", "b", "k/x.jsonl")),
        ("S3://b", ("s3", "b", "")),
        ("gs://b/", ("gs", "b", "")),
        ("az://c/d/x?y#z%20 ä", ("az", "c", "d/x?y#z%20 ä")),
        ("https://h/a%20b", ("https", "h", "/a%20b")),
        ("http://h:81", ("http", "h:81", "")),
        ("http://[::1]:81/x", ("http", "[::1]:81", "/x")),
        ("sftp://h/a%20b%3F*?", ("sftp", "h", "/a b?*?")),
    ],
)
def test_it_names_a_place_and_a_path(url: str, address: tuple[str, str, str]) -> None:
    found = parse_address(url)
    assert (found.scheme, found.host, found.path) == address


@pytest.mark.parametrize("name", ["in.jsonl", "C:/x", "-", "a:/b", "s3:/b", "/s3://b", ""])
def test_a_path_is_no_url(name: str) -> None:
    assert not is_url(name)


@given(user=SECRET, password=SECRET)
def test_a_login_is_read_as_it_is_encoded(user: str, password: str) -> None:
    encoded = f"https://{quote(user, safe='')}:{quote(password, safe='')}@host.example:8443/x.jsonl"
    found = parse_address(encoded)
    assert (found.user, found.password) == (user, password)
    assert found.host == urlsplit(encoded).netloc.rpartition("@")[2]


@given(
    secret=st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789%+=", min_size=12, max_size=30).filter(
        lambda text: "host" not in text
    )
)
@pytest.mark.parametrize(
    "form",
    [
        "https://host.example/x.jsonl?sig={}",
        "https://host.example/x.jsonl?id=1&X-Amz-Signature={}#part",
        "https://{}@host.example/x.jsonl",
        "https://me:{}@host.example/x.jsonl?id=1",
        "sftp://me:{}@host.example/x.jsonl",
    ],
)
def test_no_secret_is_shown(form: str, secret: str) -> None:
    url = form.format(secret)
    address = parse_address(url)
    shown = (
        address.name,
        address.name_of("/other"),
        repr(address),
        without_logins(f"{url} is bad"),
        without_password(url),
    )
    for text in shown:
        assert secret not in text
        assert "host.example" in text


@given(
    name=st.sampled_from(["X-Amz-Signature", "x-goog-date", "sig", "se", "Signature", "Expires", "AWSAccessKeyId"]),
    values=st.tuples(st.text("abc0", min_size=1), st.text("xyz0", min_size=1)),
)
def test_signatures_are_no_part_of_what_an_object_is(name: str, values: tuple[str, str]) -> None:
    one, two = (parse_address(f"https://h/x.jsonl?id=1&{name}={value}") for value in values)
    assert one.content_url == two.content_url
    assert one.content_url != parse_address(f"https://h/x.jsonl?id=2&{name}={values[0]}").content_url


def test_a_name_that_lacks_something_cannot_be_read_again() -> None:
    assert hides_something(parse_address("https://h/x?id=1").name)
    assert hides_something(parse_address("https://me:pw@h/x").name)
    assert not hides_something(parse_address("s3://b/x?.jsonl").name)
    assert not hides_something(parse_address("sftp://me@h/x").name)
    assert parse_address("sftp://me:geheim@h/x").name == "sftp://me:…@h/x"
    assert hides_something(parse_address("sftp://me:geheim@h/x").name)
    assert hides_something(parse_address("sftp://:geheim@h/x").name)


def test_the_name_of_several_documents_is_no_url() -> None:
    files = [InputFile(f"s3://b/{name}.json", None, "json", None) for name in "abc"]
    assert hides_something(FileSource.of("json", files).name)
    assert not hides_something(FileSource.of("json", files[:1]).name)


@pytest.mark.parametrize("url", ["s3://b/a….jsonl", "s3://b/a?…", "az://c/…@h", "https://h/a…", "sftp://me@h/a:…@b?…"])
def test_a_name_with_the_mark_in_its_key_is_whole(url: str) -> None:
    assert not hides_something(parse_address(url).name)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "name of a bucket"),
        ("s3://b*/x", "name of a bucket"),
        ("s3://key:geheim@b/x", "has a login"),
        ("s3://b//x", "has an empty part"),
        ("s3://b/a//x", "has an empty part"),
        ("s3://b/../x", "has an empty part"),
        ("s3://b/x\ny", "x\\ny has an empty part, a dot for a part, or a control"),
        ("https://", "names no host"),
        ("postgresql+psycopg://me:geheim@h/db", "A database is given with --from"),
        ("https://me:geheim@/x", "names no host"),
        ("https://me:ge/heim@h/x", "Write / as %2F"),
        ("https://h:0/x", "no port number"),
        ("https://h:/x", "no port number"),
        ("https://h:65536/x", "no port number"),
        ("https://h:٣/x", "no port number"),
        ("http://127.0.0.1:80:90/x", "no port number"),
        ("sftp://me:geheim@h:80:90/x", "no port number"),
        ("http://me:geheim@[::1/x", "names no host"),
        ("http://[name]/x", "names no host"),
        ("http://:80/x", "names no host"),
        ("https://me:1#geheim@h/x", "Write ? as %3F, # as %23"),
        ("https://me:ge?heim@h/x", "Write ? as %3F, # as %23"),
        ("hdfs://h/x", "is no input"),
        ("gcs://b/x", "Write gs://"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        parse_address(url)
    assert "geheim" not in str(caught.value)
    assert "heim@" not in str(caught.value)


def test_names_are_one_line() -> None:
    assert Address("s3", "b", "a\nb").name == "s3://b/a\\nb"


@pytest.mark.parametrize("key", ["a.jsonl", "d/br[1].jsonl", "star*x?.jsonl", "[[]"])
def test_a_key_as_a_pattern_is_that_key_alone(key: str) -> None:
    wanted = compiled(parse_address(as_key(f"s3://b/{key}")).path)
    assert wanted.fullmatch(key)
    assert not any(wanted.fullmatch(other) for other in ("d/br1.jsonl", "starAx1.jsonl", "[", "d/a.jsonl"))
    assert as_key("https://h/x?a=[1]") == "https://h/x?a=[1]"


@pytest.mark.parametrize("path", ["/a%20b", "/100%.jsonl", "/a b#?é", "/%2525", "/~/x[1]*"])
def test_the_name_of_a_file_of_sftp_as_a_url_is_that_file_alone(path: str) -> None:
    name = parse_address(f"sftp://me@h{quote(path)}").name
    assert name == f"sftp://me@h{path}"
    assert compiled(parse_address(as_key(name)).path).fullmatch(path)
