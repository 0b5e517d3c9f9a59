"""Files of ids, as ``wait`` reads them."""

from __future__ import annotations

from pathlib import Path

from loader.jobs.ids_file import header
from loader.results.wanted_ids import ids_source, read_ids


def test_files_of_shards_that_were_put_together_are_one_file_of_ids(tmp_path: Path) -> None:
    shards = [header("j", "asynq") + b"a\tq.default\nb\tq.default\n", header("j", "asynq") + b"c\tq.default\n"]
    path = tmp_path / "ids.tsv"
    path.write_bytes(b"".join(shards))

    source = ids_source(path)

    assert source.loaded and source.layout == "asynq"
    assert [(one.id, one.queue) for one in read_ids(source, None)] == [(name, "q.default") for name in "abc"]
