"""What replies to the preflight's questions mean, error replies among them."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from loader.errors import TransientError
from loader.preflight import rights, server
from loader.preflight.ask import Answers, Question
from loader.preflight.consumers import REGISTERED, Consumer, Registered, consumers, living
from loader.preflight.intended import IntendedLoad
from loader.preflight.server import ServerState
from loader.preflight.usage import LISTED, MOST_QUEUES, QueueSigns, Usage, UsageCheck, signs_of
from loader.settings import LoadOptions
from tests.consumers import server_info

NOW = 1_800_000_000.0
REFUSED = hiredis.ReplyError("NOPERM this user has no permissions")
WRONG_TYPE = hiredis.ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
LOADING = hiredis.ReplyError("LOADING Redis is loading the dataset in memory")


def until(seconds: float) -> bytes:
    return b"%.0f" % (NOW + seconds)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_each_question_reads_its_own_replies() -> None:
    one: Question[int] = Question((("GET", "a"),), lambda replies: int(replies[0]))
    two: Question[int] = Question((("GET", "b"), ("GET", "c")), lambda replies: len(replies))
    answers = Answers({one: [b"5"], two: [b"x", b"y"]})
    assert (answers[one], answers[two]) == (5, 2)


def test_replies_that_time_may_heal_are_raised_and_others_are_values() -> None:
    question: Question[int] = Question((("GET", "a"), ("GET", "b")), len)
    Answers({question: [REFUSED, WRONG_TYPE]}).raise_transient("here")
    with pytest.raises(TransientError, match="here"):
        Answers({question: [b"1", LOADING]}).raise_transient("here")


# --- who consumes ----------------------------------------------------------------------------------------------------


def test_who_has_registered_is_told_by_one_of_two_types_of_key() -> None:
    servers = [b"asynq:servers:{host:1:5f7c}", until(-3600)]  # its key, which ends by itself, tells whether it lives
    timed = [b"host:7", until(60), b"host:8", until(-1), b"asynq:workers:{host:1:5f7c}", until(60)]
    assert [(one.name, one.layout) for one in Registered(servers, timed, WRONG_TYPE).candidates(NOW)] == [
        ("host:1", "asynq"),
        ("host:7", "asynq"),
    ]
    assert [(one.name, one.layout) for one in Registered([], WRONG_TYPE, [b"host:9"]).candidates(NOW)] == [
        ("host:9", "documented")
    ]


@pytest.mark.parametrize(
    ("replies", "not_permitted"),
    [(([], [], WRONG_TYPE), False), ((REFUSED, [], WRONG_TYPE), True), (([], REFUSED, REFUSED), True)],
)
def test_a_server_that_refuses_to_tell_who_has_registered_is_not_one_without_consumers(
    replies: tuple[Any, Any, Any], not_permitted: bool
) -> None:
    registered = REGISTERED.read(replies)
    assert registered.not_permitted is not_permitted
    assert registered.candidates(NOW) == []


def test_those_live_whose_key_is_there_and_whose_heartbeat_goes_on() -> None:
    servers = [b"asynq:servers:{a:1:x}", until(9), b"asynq:servers:{b:1:x}", until(9)]
    timed = [b"c:1", until(9), b"d:1", until(9), b"e:1", until(9)]
    candidates = Registered(servers, timed, WRONG_TYPE).candidates(NOW)
    replies = [server_info("q.default"), None, [b"map[r.default:1]", b"running"], [None, None], [b"map[]", b"stopped"]]
    assert consumers(candidates, replies) == [
        Consumer("a:1", "asynq", frozenset({"q.default"}), forwards=True),
        Consumer("c:1", "asynq", frozenset({"r.default"})),
    ]


def test_an_error_in_the_place_of_a_heartbeat_leaves_a_consumer_of_unknown_queues() -> None:
    candidates = Registered([], [b"c:1", until(9)], WRONG_TYPE).candidates(NOW)
    (consumer,) = living(candidates).read([REFUSED])
    assert consumer.serves("any.default")


# --- how queues are used ---------------------------------------------------------------------------------------------


def test_signs_are_read_queue_by_queue() -> None:
    question = signs_of(["a.default", "b.default", "c.default"])
    assert len(question.commands) == 12
    replies = [2, 0, 0, 1, 0, 5, 1, 0, REFUSED, WRONG_TYPE, 0, 0]
    assert question.read(replies) == [
        QueueSigns("a.default", asynq=True, listed=True),
        QueueSigns("b.default", documented=True, waiting=5),
        QueueSigns("c.default", not_permitted=True),
    ]


@pytest.mark.parametrize(("reply", "names"), [([b"b", b"a\xff"], ["a�", "b"]), ([], []), (REFUSED, [])])
def test_listed_queues_are_names_and_none_where_the_server_refuses(reply: Any, names: list[str]) -> None:
    assert LISTED.read([reply]) == names


def test_two_round_trips_tell_how_a_queue_is_used() -> None:
    check = UsageCheck(["q.default"])
    registered, signs = check.first
    first = Answers({registered: [[b"asynq:servers:{a:1:x}", until(9)], [], WRONG_TYPE], signs: [1, 0, 0, 1]})
    alive = check.second(first, NOW)
    assert alive.commands == [("GET", b"asynq:servers:{a:1:x}")]
    second = Answers({alive: [server_info("q.default")]})
    assert check.usage(first, second[alive]) == Usage(
        [QueueSigns("q.default", asynq=True, listed=True)],
        [Consumer("a:1", "asynq", frozenset({"q.default"}), forwards=True)],
    )


# --- the server itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "seconds"), [((1800, 0), 1800.0), ([b"1800", b"500000"], 1800.5), (REFUSED, None)])
def test_the_servers_time_is_read_where_it_is_told(told: Any, seconds: float | None) -> None:
    assert server.CLOCK.read([told]) == seconds


@pytest.mark.parametrize(("primaries", "level"), [(1, "ok"), (0, "error"), (None, "ok")])
def test_a_node_is_refused_only_where_its_cluster_is_not_known(primaries: int | None, level: str) -> None:
    assert server.cluster({"cluster_enabled": 1}, primaries).level == level


def test_of_several_nodes_the_gravest_is_told() -> None:
    fine = {"redis_version": "7.2.0", "role": "master", "aof_enabled": 1}
    states = [ServerState(fine, [], (1000, 0)), ServerState({**fine, "role": "slave"}, [], (1030, 0))]
    findings = {found.name: found for found in server.states_findings(states, temporary=False, primaries=2)}
    assert findings["role"].level == "error"
    assert (findings["cluster"].level, "2 primaries" in findings["cluster"].text) == ("ok", True)
    (clock,) = server.clock_findings(1000.0, 1000.0, states)
    assert clock.level == "warning"


# --- rights ----------------------------------------------------------------------------------------------------------

SET_NAME = next(right for right in rights.OPTIONAL if right.rule == "client|setname")
PUSH = next(right for right in rights.NEEDED if right.rule == "lpush")
KEYS = {"@pending": b"asynq:q.default:pending"}


@pytest.mark.parametrize(("reply", "user"), [(b"loader", "loader"), ("loader", "loader"), (WRONG_TYPE, None)])
def test_who_asks_is_read_where_the_server_knows_users(reply: Any, user: str | None) -> None:
    assert rights.WHO.read([reply]) == user


def test_a_server_without_users_is_not_asked_for_rights() -> None:
    question = rights.allowed(None, [PUSH], KEYS, keys_known=True)
    assert not question.commands
    assert [(found.name, found.level) for found in question.read([])] == [("rights", "unknown")]


def test_every_right_is_asked_about_on_the_keys_of_the_load() -> None:
    question = rights.allowed("loader", [PUSH], KEYS, keys_known=True)
    assert question.commands == [("ACL", "DRYRUN", "loader", "LPUSH", b"asynq:q.default:pending", "x")]


KEY_REFUSED = b"User loader has no permissions to access the 'asynq:q.default:pending' key"
COMMAND_REFUSED = b"User loader has no permissions to run the 'lpush' command"
GONE = hiredis.ReplyError("ERR Command 'LPUSH' not found")


@pytest.mark.parametrize(
    ("push", "name", "keys_known", "expected"),
    [
        (b"OK", b"OK", True, [("rights", "ok")]),
        (COMMAND_REFUSED, b"OK", True, [("rights", "error")]),
        (GONE, b"OK", True, [("commands", "error"), ("rights", "ok")]),
        (b"OK", GONE, True, [("rights", "ok"), ("optional", "warning")]),
        (KEY_REFUSED, b"OK", True, [("rights", "error")]),
        (KEY_REFUSED, b"OK", False, [("rights", "ok")]),  # it may be another key in the end
        (b"OK", b"no permissions", True, [("rights", "ok"), ("optional", "warning")]),
        (REFUSED, REFUSED, True, [("rights", "unknown")]),
    ],
)
def test_what_is_refused_is_needed_or_optional(
    push: Any, name: Any, keys_known: bool, expected: list[tuple[str, str]]
) -> None:
    question = rights.allowed("loader", [PUSH, SET_NAME], KEYS, keys_known=keys_known)
    assert [(found.name, found.level) for found in question.read([push, name])] == expected


# --- the load --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "known", "queues", "open_ended"),
    [
        ({"queue": "q"}, None, ["q.default"], False),
        ({"queue": "q"}, {"r.default"}, ["q.default"], False),
        ({"queue_field": "to"}, None, [], True),
        ({"queue": "q", "queue_field": "to"}, None, ["q.default"], True),
        ({"queue": "q", "envelope": True}, {"r.default", "q.default"}, ["q.default", "r.default"], False),
        ({"queue_field": "to"}, set(), [], True),
    ],
)
def test_the_queues_of_a_load_are_known_or_open(
    fields: dict[str, Any], known: set[str] | None, queues: list[str], open_ended: bool
) -> None:
    load = IntendedLoad(LoadOptions(**fields), "j", known)
    assert (load.queues, load.open_ended) == (queues, open_ended)


def test_no_more_queues_are_looked_at_than_the_limit() -> None:
    known = {f"q.{number:04}" for number in range(MOST_QUEUES + 50)}
    assert len(IntendedLoad(LoadOptions(queue_field="to"), "j", known).queues) == MOST_QUEUES
