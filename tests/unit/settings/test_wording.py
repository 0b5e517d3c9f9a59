"""Messages that name options, as a program or another command gives them."""

from __future__ import annotations

import pytest

from loader.results.options import WaitOptions
from loader.settings import LoadOptions
from loader.settings.wording import as_parameters, renamed
from loader.sources.formats import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_a_value(name: str) -> None:
    assert as_parameters(f"Give --format {name}", [LoadOptions]) == f"Give format={name!r}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--batch-size must be between 1 and 5, not 0", "batch_size must be between 1 and 5, not 0"),
        ("Give --queue NAME, or --queue-field NAME", "Give queue=NAME, or queue_field=NAME"),
        ("Give --format json-array (it) or --format json", "Give format='json-array' (it) or format='json'"),
        ("than its name or --format says", "than its name or format= says"),
        ("--profile asynq needs --type", "profile='asynq' needs type="),
        ("--task-timeout needs --layout asynq", "task_timeout needs layout='asynq'"),
        ("more than --max-errors 5 records rejected", "more than max_errors=5 records rejected"),
        ("Give --format json-array or --format jsonl", "Give format='json-array' or format='jsonl'"),
        ("use --redis embedded", "use redis='embedded'"),
        ("--redis: ssl_certfile needs a key", "redis: ssl_certfile needs a key"),
        ("the address in --redis", "the address in redis="),
        ("--envelope and --to contradict each other", "envelope=True and to= contradict each other"),
        ("--force-layout goes on", "force_layout=True goes on"),
        ("--header 'a b' is not of the form NAME=VALUE", "header='a b' is not of the form NAME=VALUE"),
        ("Give another -j --job NAME", "Give another job=NAME"),
        ("--ids-out x/ids cannot be written", "ids_out x/ids cannot be written"),
        ("pip install 'runqy-loader[http]'", "pip install 'runqy-loader[http]'"),
        ("redis-server --requirepass and --queues", "redis-server --requirepass and --queues"),
        ("a --queue-x, x--queue", "a --queue-x, x--queue"),
    ],
)
def test_options_become_parameters(text: str, expected: str) -> None:
    assert as_parameters(text, [LoadOptions]) == expected


def test_each_function_names_its_own_parameters() -> None:
    assert as_parameters("--reply-timeout must be above 0", [WaitOptions]) == "reply_timeout must be above 0"
    assert as_parameters("--reply-timeout must be above 0", [LoadOptions]) == "--reply-timeout must be above 0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--queue q: it is", "--to-queue q: it is"),
        ("Use --layout asynq", "Use --to-layout asynq"),
        ("--queue-field and --layouts", "--queue-field and --layouts"),
        ("'--queue' and --from-queue", "'--to-queue' and --from-queue"),
    ],
)
def test_options_get_the_names_that_a_command_gives_them(text: str, expected: str) -> None:
    assert renamed(text, {"queue": "to-queue", "layout": "to-layout"}) == expected
