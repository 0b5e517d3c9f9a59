"""Rates over time from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.pace.rate_file import read_rate_file


def written(folder: Path, text: str) -> Path:
    path = folder / "rates.csv"
    path.write_text(text)
    return path


def test_the_rate_goes_evenly_from_line_to_line_and_stays_at_the_last(tmp_path: Path) -> None:
    found = read_rate_file(written(tmp_path, "time,rate\n0,10\n1m,600/min\n1m30s,40/s\n\n"))
    assert [found.schedule.rate(at) for at in (0, 30, 60, 75, 90, 1000)] == pytest.approx([10, 10, 10, 25, 40, 40])
    assert (found.text, found.lowest, found.highest) == ("rates of rates.csv", 10, 40)


@pytest.mark.parametrize("zero", ["0", "0s", "0.0", "00s", ".0"])
def test_a_time_may_be_0(tmp_path: Path, zero: str) -> None:
    assert read_rate_file(written(tmp_path, f"{zero},10\n10,20\n")).schedule.rate(5) == pytest.approx(15)


def test_two_lines_with_one_time_are_a_jump(tmp_path: Path) -> None:
    schedule = read_rate_file(written(tmp_path, "0,10\n10,10\n10,50\n")).schedule
    assert [schedule.rate(at) for at in (9.9, 10.0)] == [10, 50]
    assert schedule.due(150) == pytest.approx(11)


def test_the_first_line_is_the_start_so_unix_times_do_as_well(tmp_path: Path) -> None:
    schedule = read_rate_file(written(tmp_path, "1700000000,0\n1700000010,20\n")).schedule
    assert schedule.count(10) == pytest.approx(100)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    assert read_rate_file(written(tmp_path, "0,10\n")).highest == 10
    assert read_rate_file(written(tmp_path, "0,1000\n")).highest == 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no rate in it"),
        ("time,rate\n", "there is no rate in it"),
        ("0,10\n60,fast\n", "line 2: 'fast' is no rate"),
        ("0,10\nlater,10\n", "line 2: 'later' is no duration"),
        ("0,10,20\n", "line 1: it has 3 columns, not 2"),
        ("0,10\n60,20\n30,20\n", "line 3: the time is before that of the line before"),
        ("-10,5/s\n60,10\n", "line 1: '-10' is no duration"),
        ("+10,5/s\n60,10\n", "line 1: '\\+10' is no duration"),
        ("time,5/s\n60,10\n", "line 1: 'time' is no duration"),
        ("0,10\ns,20\n", "line 2: 's' is no duration"),
        ("0,10\n.,20\n", "line 2: '.' is no duration"),
        ("0,10\n60," + "9" * 200_000 + "\n", "field larger than field limit"),
        ("0,10\n60,0\n", "the last rate must be above 0"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_rate_file(written(tmp_path, text))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_rate_file(tmp_path / "rates.csv")
    with pytest.raises(UsageError, match="is not a file"):
        read_rate_file(tmp_path)
    (tmp_path / "rates.csv").write_bytes(b"0,10\n\xff")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        read_rate_file(tmp_path / "rates.csv")
