"""Loads from a server of SFTP: what a URL means, host keys, logins, and errors."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from loader.sources.format import InputFile
from loader.sources.problems import Problem
from loader.sources.remote.address import parse_address
from loader.sources.remote.prepare import Preparation
from loader.sources.remote.remote_file import RemoteFile
from loader.sources.remote.sftp_site import SftpSite
from loader.sources.remote.site import State
from loader.sources.remote.spool import Spool
from tests.integration.remote.cutting import Cutter
from tests.integration.remote.servers import Files
from tests.integration.remote.test_s3 import large, lines, numbers
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts


def test_files_folders_and_patterns_are_read(tool: Tool, db: Redis, files: Files) -> None:
    files.put("in/b.jsonl", lines(2))
    files.put("in/a.jsonl.gz", gzip.compress(lines(0, 1)))
    files.put("in/deep/c.jsonl", lines(3))
    files.put("in/.hidden/d.jsonl", lines(90))
    (files.folder / "files" / "in" / "round").symlink_to("..")
    files.put("day=1/x.csv", b"n\n4\n")
    files.put("day=2/x.csv", b"n\n5\n")
    files.put("day=2/y.csv", b"n\n91\n")
    files.put("odd %#é.jsonl", lines(6))
    (files.folder / "files" / "link.jsonl").symlink_to("odd %#é.jsonl")

    given = (f"{files.url}/in", f"{files.url}/day=*/x*.csv", f"{files.url}/odd%20%25%23é.jsonl")
    done, again = (tool.load(*given, "-q", "q", "-w", "1", env=files.env) for _ in range(2))

    assert_fine(done)
    assert numbers(db) == list(range(7))
    assert (counts(done), counts(again)) == ((7, 7, 0, 0), (7, 0, 7, 0))
    assert done.report["sources"][0]["name"] == f"{files.url}/in/a.jsonl.gz"


def test_documents_and_relative_paths(tool: Tool, db: Redis, files: Files) -> None:
    home = f"sftp://127.0.0.1:{files.port}/~/"
    done = tool.load(f"{home}none-{files.port}.jsonl", "-q", "q", env=files.env)
    assert_error(done, 1, f"{home}none-{files.port}.jsonl: there is no such object")
    for number in range(20):
        files.put(f"docs/{number:02}.json", json.dumps({"n": number}).encode())
    assert_fine(tool.load(f"{files.url}/docs/", "-q", "q", "-w", "1", env=files.env))
    assert numbers(db) == list(range(20))


def test_a_connection_that_is_cut_off(tool: Tool, db: Redis, files: Files) -> None:
    content = large()
    url = files.put("a.jsonl", content)
    with Cutter(files.port, after=3_000_000, times=1) as cutter:
        known = files.folder / "home" / ".ssh" / "known_hosts"
        known.write_text(known.read_text() + known.read_text().replace(f":{files.port}", f":{cutter.port}"))
        done = tool.load(url.replace(f":{files.port}", f":{cutter.port}"), "-q", "q", "-w", "1", env=files.env)
    assert_fine(done)
    assert cutter.cuts == 1
    assert numbers(db) == list(range(60_000))


def test_a_file_that_grows_before_its_copy_is_told_at_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", files.env["HOME"])
    address = parse_address(files.put("a.jsonl", lines(1)))

    class Growing(SftpSite):
        async def state(self, key: str) -> State | None:
            found = await super().state(key)
            files.put("a.jsonl", lines(1, 2))
            return found

    async def prepared(spool: Spool) -> InputFile | Problem:
        site = Growing(address)
        remote = RemoteFile(address.name, site, address.path, address.content_url)
        (found,) = await Preparation(spool, given=False, force=False).of(
            [InputFile(address.name, None, "jsonl", None, remote=remote)]
        )
        await site.aclose()
        return found

    with Spool() as spool:
        found = asyncio.run(prepared(spool))
    assert isinstance(found, Problem)
    assert found.what == "was changed while it was being loaded (it had 8 bytes, now 16)"


@pytest.mark.parametrize("known", ["", "another"])
def test_an_unknown_host_key_is_refused(tool: Tool, files: Files, known: str) -> None:
    url = files.put("a.jsonl", lines(1))
    path = files.folder / "home" / ".ssh" / "known_hosts"
    other = (files.folder / "home" / ".ssh" / "id_ed25519.pub").read_text()
    path.write_text(f"[127.0.0.1]:{files.port} {other}" if known else "")
    done = tool.load(url, "-q", "q", env=files.env)
    assert_error(done, 1, url.partition("@")[2], "host key", "known_hosts", f"ssh-keyscan -p {files.port} 127.0.0.1")


def test_each_fault_is_one_line(tool: Tool, files: Files) -> None:
    url = files.put("a.jsonl", lines(1))
    secret = url.replace("@", ":geheim@")
    cases = {
        f"{files.url}/none.jsonl": "there is no such object",
        f"{files.url}/none*": "no object matches",
        url.replace(f":{files.port}", ":1"): "no connection to 127.0.0.1:1",
        "sftp://nobody.invalid/a.jsonl": "no connection to nobody.invalid",
    }
    for given, words in cases.items():
        assert_error(tool.load(given, "-q", "q", env=files.env), 1, words)
    (files.folder / "allowed").write_text("")
    refused = tool.load(secret, "-q", "q", env=files.env)
    assert_error(refused, 1, "accepts no key and no password")
    assert "geheim" not in refused.stderr
