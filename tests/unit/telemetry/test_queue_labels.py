"""Names of queues as labels: bounded, and each queue keeps its label."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loader.telemetry.queue_labels import OTHER_QUEUES, QueueLabels


def test_names_are_labels_up_to_64_kilobytes() -> None:
    labels = QueueLabels()
    found = [labels.label(f"{number:064}") for number in range(1100)]
    assert found[:1024] == [f"{number:064}" for number in range(1024)]
    assert set(found[1024:]) == {OTHER_QUEUES}
    assert labels.label(f"{7:064}") == f"{7:064}"  # known before
    assert labels.label("short") == OTHER_QUEUES


@given(st.lists(st.text(max_size=20_000), max_size=30))
def test_a_queue_keeps_its_label(queues: list[str]) -> None:
    labels = QueueLabels()
    first: dict[str, str] = {}
    for queue in queues:
        found = labels.label(queue)
        assert found in (queue, OTHER_QUEUES)
        assert first.setdefault(queue, found) == found or first[queue] == OTHER_QUEUES
    named = {queue for queue, label in first.items() if label == queue != OTHER_QUEUES}
    assert sum(len(queue.encode(errors="surrogatepass")) for queue in named) <= 64 * 1024
