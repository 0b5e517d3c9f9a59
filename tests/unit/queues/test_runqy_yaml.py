"""Which queues exist, by runqy's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.errors import UnknownQueueError, UsageError
from loader.queues.existing import check_queue
from loader.queues.runqy_yaml import configured_queues

CONFIGURATION = """
queues:
  inference:
    sub_queues:
      - name: premium
        priority: 10
      - {name: standard, priority: 3, input: [a, b]}
  simple:
    priority: 1
  bare:
  none_listed:
    sub_queues: []
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queues.yaml"


def test_sub_queues_name_queues_and_a_queue_without_any_is_default(file: Path) -> None:
    file.write_text(CONFIGURATION)
    assert configured_queues(file) == {
        "inference.premium",
        "inference.standard",
        "simple.default",
        "bare.default",
        "none_listed.default",
    }


def test_json_is_yaml_too(file: Path) -> None:
    file.write_text('{"queues": {"a": {"sub_queues": [{"name": "b"}]}}, "version": 1}')
    assert configured_queues(file) == {"a.b"}


def test_a_directory_stands_for_all_its_yaml_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("queues: {a: {}}")
    (tmp_path / "b.yml").write_text("queues: {b: {}}")
    (tmp_path / "c.txt").write_text("no YAML: [")
    assert configured_queues(tmp_path) == {"a.default", "b.default"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no mapping 'queues'"),
        ("[a, b]", "no mapping 'queues'"),
        ("queue: {a: {}}", "no mapping 'queues'"),
        ("queues: [a, b]", "no mapping 'queues'"),
        ("queues: {a: {sub_queues: [{priority: 1}]}}", "sub-queue of 'a' has no name"),
        ("queues: {a: {sub_queues: [b]}}", "sub-queue of 'a' has no name"),
        ("queues: {a: {sub_queues: {b: {}}}}", "sub-queue"),
        ("queues: {a: {sub_queues: 3}}", "sub-queue"),
        ("queues:\n  a: [\n", r"queues\.yaml:3: not valid YAML"),
        ("queues: !!python/object:os.system {}", "not valid YAML"),
        ("\0", "not valid YAML"),
        ("queues: {!!binary x: {}}", "not valid YAML"),
        ('queues: {"\\UFFFFFFFF": {}}', "an escape of no character"),
        ('queues: {"\\U00110000": {}}', "an escape of no character"),
        ("queues: " + "[" * 600, "nested too deeply"),
        ('queues: {"\\ud800": {}}', "is no name of a queue"),
        ('queues: {a: {sub_queues: [{name: "\\ud800"}]}}', "sub-queue of 'a' has no name"),
        ("queues: {null: {}}", "None is no name of a queue"),
        ("queues: {? [a, b] : {}}", "not valid YAML|is no name of a queue"),
    ],
)
def test_a_file_that_is_no_queue_configuration_is_told_by_name(file: Path, content: str, complaint: str) -> None:
    file.write_text(content)
    with pytest.raises(UsageError, match=complaint) as caught:
        configured_queues(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_told_by_name(file: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        configured_queues(file)


def test_a_name_that_is_too_long_for_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="File name too long"):
        configured_queues(tmp_path / ("a" * 300))


def test_a_directory_without_yaml_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no YAML file"):
        configured_queues(tmp_path)


def test_a_queue_that_exists_passes() -> None:
    check_queue("a.default", {"a.default"}, "queues.yaml")


@pytest.mark.parametrize(
    ("known", "advice"),
    [
        ({"a.low", "a.high", "b.default"}, "Use one of these: a.high, a.low"),
        ({"b.default", "c.default"}, "Use one of these: b.default, c.default"),
        ({f"a.{n}" for n in range(20)}, "a.15, …"),
        (set(), "none at all"),
    ],
)
def test_a_queue_that_does_not_exist_is_refused_naming_those_near_it(known: set[str], advice: str) -> None:
    with pytest.raises(UnknownQueueError, match=r"queue a\.default does not exist in queues\.yaml") as caught:
        check_queue("a.default", known, "queues.yaml")
    assert str(caught.value).endswith(advice)


def test_names_that_yaml_takes_for_something_else_stay_text(file: Path) -> None:
    file.write_text("queues:\n  on: {}\n  1:\n    sub_queues:\n    - name: off\n    - name: 010\n  simple:\n")
    assert configured_queues(file) == {"on.default", "1.off", "1.010", "simple.default"}


def test_a_tag_does_not_change_what_a_name_is(file: Path) -> None:
    file.write_text("queues:\n  !!int one: {}\n  !!bool x: {sub_queues: [{name: !!float y}, {name: !!timestamp z}]}\n")
    assert configured_queues(file) == {"one.default", "x.y", "x.z"}
