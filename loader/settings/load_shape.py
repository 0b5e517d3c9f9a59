"""The options of a load that choose records and make payloads of them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from loader.settings.option import COUNT, EXPRESSION, Excludes, Option
from loader.settings.share import share_problem
from loader.settings.table_fields import TableFields

_SHAPING = "Shaping (expressions are JMESPath: docs/shaping.md)"

_IDENTITY = ("where", "select", "set", "dedup", "sample", "sample_seed", "offset", "limit", "id_from", "queue_from")
"""The options that change which tasks are made, or what they are."""


def _member_problem(text: str) -> str | None:
    name, equals, expression = text.partition("=")
    return None if name and equals and expression else "must be NAME=EXPR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeFields(TableFields):
    """Options that shape records."""

    where: Annotated[
        str | None,
        Option(
            help="Load only records for which this is true, such as \"customer.plan == 'paid'\". They stay byte for "
            "byte as they are.",
            group=_SHAPING,
            unit=EXPRESSION,
        ),
    ] = None
    select: Annotated[
        str | None,
        Option(
            help="Make the payload from the record: its fields, renamed or nested, such as "
            '"{user: customer.id, prompt: text}".',
            group=_SHAPING,
            unit=EXPRESSION,
            goes_with=(Excludes("set", hint="Write the new members into the expression of --select"),),
        ),
    ] = None
    payload_template: Annotated[
        Path | None,
        Option(
            help="As --select, with the expression in this file, on any number of lines.",
            group=_SHAPING,
            unit="FILE",
            goes_with=(
                Excludes("select"),
                Excludes("set", hint="Write the new members into the template"),
            ),
        ),
    ] = None
    set: Annotated[
        tuple[str, ...],
        Option(
            help="Give the record's object this member; the rest of it stays byte for byte as it is. The option may "
            "be given several times; in the environment, one a line.",
            group=_SHAPING,
            unit="NAME=EXPR",
            rule=_member_problem,
        ),
    ] = ()
    sample: Annotated[
        str | None,
        Option(
            help="Load only this share of the records, such as 5%; the same ones in every run, by their content.",
            group=_SHAPING,
            unit="SHARE",
            rule=share_problem,
        ),
    ] = None
    sample_seed: Annotated[
        int, Option(help="Another number gives another --sample.", group=_SHAPING, unit="NUMBER", at_least=0)
    ] = 0
    dedup: Annotated[
        str | None,
        Option(
            help="Of the records of the input with the same key, load only the first one. About 100 bytes of memory a "
            "key; one process.",
            group=_SHAPING,
            unit=EXPRESSION,
        ),
    ] = None
    offset: Annotated[
        int,
        Option(
            help="Leave out this many records first. The records that the options above keep are counted, in the order "
            "of the input; one process.",
            group=_SHAPING,
            unit=COUNT,
            at_least=0,
        ),
    ] = 0
    limit: Annotated[
        int | None,
        Option(
            help="Load at most this many records, counted in the same way. The rest of the input is not read.",
            group=_SHAPING,
            unit=COUNT,
            at_least=1,
        ),
    ] = None
    preview: Annotated[
        int | None,
        Option(
            help="Print what the first tasks would be (id, queue, payload, options) as JSON lines, and write nothing. "
            "No server is asked.",
            group=_SHAPING,
            unit=COUNT,
            at_least=1,
            at_most=10_000,
            goes_with=(
                Excludes("dry_run", hint="A preview writes nothing either"),
                Excludes("ids_out", hint="Without a task there is no id"),
            ),
        ),
    ] = None

    @property
    def shape(self) -> Mapping[str, Any]:
        """The options that change which tasks are made, those that are given: a part of the job's identity."""
        if self.payload_template is not None:
            raise RuntimeError("the template is not read yet: see loader.shaping.settle")
        values = {name: getattr(self, name) for name in _IDENTITY}
        if self.sample is None:
            values["sample_seed"] = None  # it changes nothing
        return {name: value for name, value in values.items() if value not in (None, 0, ())}

    @property
    def counts_in_order(self) -> bool:
        """Whether a record's fate depends on the records before it. Then one process must read them all."""
        return self.limit is not None or self.offset > 0 or self.dedup is not None
