"""The columns of a file: their names, and what must be said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from loader.errors import SourceError
from loader.settings.tables import TableOptions


def checked_names(source: str, schema: Any, options: TableOptions) -> Sequence[str]:
    """The names of the columns, in order.

    Args:
        schema: A ``pyarrow.Schema``.

    Raises:
        SourceError: They do not fit ``--columns``, two are the same, or a column cannot be read.
    """
    names: Sequence[str] = schema.names
    if options.columns:
        if len(options.columns) != len(names):
            raise SourceError(
                f"{source}: it has {len(names)} columns, and --columns {len(options.columns)}", "Correct --columns"
            )
        names = options.columns
    if twice := next((name for name in names if list(names).count(name) > 1), None) if _repeat(names) else None:
        raise SourceError(
            f"{source}: two columns are called {twice!r}", "Give --columns NAME,… with a name for each column, in order"
        )
    for name, field in zip(names, schema, strict=True):
        for path, kind in _types(name, field.type):
            if pa.types.is_struct(kind):
                members = [member.name for member in kind]
                if _repeat(members):
                    raise SourceError(
                        f"{source}: column {path!r} has two members of the same name", "Rename one where it is written"
                    )
                if _is_variant(members):
                    raise SourceError(
                        f"{source}: column {path!r} is a VARIANT, whose values pyarrow does not read",
                        f"Write it as JSON: in DuckDB, {path}::JSON",
                    )
    return names


def shares_values(schema: Any) -> bool:
    """Whether a column may have a value once in memory that many rows share.

    Args:
        schema: A ``pyarrow.Schema``.
    """
    return any(_is_shared(kind) for field in schema for _, kind in _types(field.name, field.type))


def _is_shared(kind: Any) -> bool:
    types = pa.types
    is_list = types.is_list_view(kind) or types.is_large_list_view(kind)
    is_text = types.is_string_view(kind) or types.is_binary_view(kind)
    return bool(types.is_dictionary(kind) or types.is_run_end_encoded(kind) or is_list or is_text)


def doubtful_ids(names: Sequence[str], columns: Sequence[Any]) -> Iterator[str]:
    """Warnings of ids that are doubles: they were integers before a program made a sum or a HUGEINT of them.

    Args:
        columns: The first values of each column.
    """
    import pyarrow.compute as pc

    for name, column in zip(names, columns, strict=True):
        if _is_id(name) and pa.types.is_float64(column.type):
            numbers = column.drop_null()
            if len(numbers) and pc.all(pc.equal(pc.floor(numbers), numbers)).as_py():
                yield (
                    f"column {name!r} holds whole numbers as doubles, which are not exact beyond 2^53, so they are "
                    "written with a fraction. If these are ids, have them written as BIGINT"
                )


def _is_id(name: str) -> bool:
    lower = name.lower()
    return lower in ("id", "key", "uid") or lower.endswith(("_id", " id", "-id")) or name.endswith(("Id", "ID"))


def _repeat(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)


def _is_variant(members: Sequence[str]) -> bool:
    """Whether a struct is how Parquet stores a VARIANT (VariantEncoding.md, VariantShredding.md of parquet-format)."""
    return set(members) in ({"metadata", "value"}, {"metadata", "value", "typed_value"}, {"metadata", "typed_value"})


def _types(path: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """A type and those within it, with their paths."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    yield path, kind
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _types(path, kind.value_type)
        return
    for number in range(kind.num_fields):
        field = kind.field(number)
        yield from _types(f"{path}.{field.name}" if pa.types.is_struct(kind) else path, field.type)
