"""What content can look like, and what to do about content that its format does not take."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from loader.sources.codecs.codec import Codec


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that content can look like.

    Attributes:
        title: Completes "it looks like …".
        formats: Names for ``--format`` that read it, each with what it makes of it, or with an empty text.
        advice: What else to do, as a sentence without a full stop.
        command: A shell command that writes JSON lines to standard output, with ``{file}`` for the file's name
            (``{raw}``: without quotes for the shell).
        filter: The same, from standard input; empty if the program needs a file.
        keeps_text: Whether the command writes the text that is in the file, in whatever format that is.
    """

    title: str
    formats: tuple[tuple[str, str], ...] = ()
    advice: str = ""
    command: str = ""
    filter: str = ""
    keeps_text: bool = False

    def hint(self, form: str, path: str | None, codec: Codec | None, *, elsewhere: bool = False) -> str:
        """What to do with this content, as a sentence without a full stop.

        Args:
            form: The name of the format that its text should have.
            path: The file, as the user named it; None for standard input.
            codec: The compression that the loader has removed already.
            elsewhere: Whether it is read from a URL, which commands of the shell do not take.
        """
        path = "FILE" if elsewhere else path
        command = self._command(path, codec)
        piped = _of_pipe(form) if self.keeps_text and form != "jsonl" else ""
        option = f"--format {piped} " if piped else ""
        run = f"run: {command} | runqy-loader load - {option}…" if command else ""
        run = f"save it as FILE first, and {run}" if run and elsewhere else run
        readable = ((name, does) for name, does in self.formats if codec is None or name not in NOT_COMPRESSED)
        given = ((name if path is not None else _of_pipe(name), does) for name, does in readable)
        named = {name: does for name, does in given if name}
        if not named:
            advice = self.advice or ("" if run else self._without_format(codec))
            return "; ".join(part for part in (advice, run) if part)
        options = " or ".join(f"--format {name}{does and f' ({does})'}" for name, does in named.items())
        return f"give {options}" + (f", or {run}" if run else "")

    def _without_format(self, codec: Codec | None) -> str:
        if not self.formats:
            return "Save its content as a file, and convert that to JSON lines"
        return "save it as a file, and load that" if codec is None else "decompress it, and load that"

    @property
    def brief(self) -> str:
        """What to use for this content, in a list of several files; empty if that takes a sentence."""
        if self.formats:
            return " or ".join(f"--format {name}" for name, _ in self.formats)
        return self.filter

    def _command(self, path: str | None, codec: Codec | None) -> str:
        if path is not None and codec is None:
            return self.command.format(file=_quoted(path), raw=path)
        if not self.filter:
            return ""
        if codec is None:
            return f"PROGRAM | {self.filter}"
        unpacked = f"PROGRAM | {codec.command}" if path is None else f"{codec.command} {_quoted(path)}"
        return f"{unpacked} | {self.filter}"


NOT_COMPRESSED = frozenset({"parquet", "arrow", "feather", "zip"})
"""Names of formats that are not read within a compression."""

NOT_PIPED = {"json": "json-concat", "parquet": "", "arrow": "", "feather": "", "tar": "", "zip": ""}
"""Names of formats that are not read from a pipe, and of those that read the same from one; empty if there is none."""


def _of_pipe(form: str) -> str:
    """The format that reads from a pipe what this one reads from a file; empty if there is none."""
    return NOT_PIPED.get(form, form)


def _quoted(path: str) -> str:
    return shlex.quote(path if not path.startswith("-") else f"./{path}")


_ARRAY = (("json-array", "each element is a task"), ("json", "the whole array is one task"))


def _filter(title: str, command: str, *formats: tuple[str, str]) -> Look:
    """A look that a filter converts, which reads a file that it is given, or else standard input."""
    return Look(title, formats, "", f"{command} {{file}}", command)


def packed(title: str, command: str) -> Look:
    """A look of text that a filter unpacks or recodes."""
    return Look(title, (), "", f"{command} {{file}}", command, keeps_text=True)


# JSON and other text.
UNKNOWN = Look("nothing known")
LINES = Look("JSON lines", (("jsonl", ""),))
ONE_LINE = Look("one JSON value", (("jsonl", ""),))
LINE_OF_VALUES = Look("one JSON array", _ARRAY)
LINE_OF_OBJECTS = Look("one JSON array of objects", _ARRAY)
FIRST_ARRAY = Look("one JSON array, or JSON lines of which only the first is there", _ARRAY)
ARRAY = Look("one JSON array over several lines", _ARRAY)
LONG_ARRAY = Look("one long JSON array", (*_ARRAY, ("jsonl", "each line is a task")))
DOCUMENT = _filter("one JSON document over several lines", "jq -c .", ("json", "it is one task"))
VALUES = _filter("JSON values that are not one a line", "jq -c .", ("json-concat", "each is a task"))
SEQUENCE = Look("a JSON text sequence (RFC 7464)", (("json-concat", "each text is a task"),))
CR_LINES = Look("lines that end with CR alone", (), "", r"tr '\r' '\n' < {file}", r"tr '\r' '\n'")
CSV = Look("CSV", (("csv", ""),))
CSV_SEMICOLONS = Look("CSV with semicolons", (("csv", ""),))
TSV = Look("TSV", (("tsv", ""),))
PARQUET = Look("Parquet", (("parquet", ""),))
ARROW = Look("Arrow (Feather)", (("arrow", ""),))
HTML = Look("an HTML page", (), "it may be an error page of the server that it came from")
XML = Look("XML", (), "convert it to JSON lines first")
YAML = _filter("YAML", "yq -o=json -I=0 .")


# Archives. Members that are JSON under other names need the command.
TAR = Look(
    "a tar archive",
    (("tar", "its members are input"),),
    "",
    "tar -xOf {file}",
    "tar -xOf -",
    keeps_text=True,
)
ZIP = Look(
    "a zip archive",
    (("zip", "its members are input"),),
    "",
    "unzip -p {file}",
    keeps_text=True,
)


# Other encodings of text.
def _encoded(encoding: str) -> Look:
    return packed(f"text in {encoding}", f"iconv -f {encoding} -t UTF-8")


LATIN_1 = packed("text in Latin-1 or Windows-1252", "iconv -f WINDOWS-1252 -t UTF-8")
UTF_16 = _encoded("UTF-16")
UTF_16_LE = _encoded("UTF-16LE")
UTF_16_BE = _encoded("UTF-16BE")
UTF_32 = _encoded("UTF-32")
UTF_32_LE = _encoded("UTF-32LE")
UTF_32_BE = _encoded("UTF-32BE")

BINARY = Look("binary data", (), "convert it to JSON lines first")
