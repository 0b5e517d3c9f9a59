"""Says why orjson refuses a record, in words that help to correct it. Only rejected records come here."""

from __future__ import annotations

import re
from contextlib import suppress

import orjson

from loader.sources.json_text import JSON_SPACE
from loader.tasks.json_grammar import MOST_LEVELS, Expected, Fault, Findings, NotJsonError, check
from loader.tasks.reasons import Reason, ReasonCode

_LONGEST_CHECKED = 1024 * 1024
"""Bytes. The grammar of longer records is only checked if orjson's message leaves open whether they are JSON."""

_MAYBE_JSON = ("surrogate", "infinity", "depth limit")
"""Parts of orjson's messages about texts that may be JSON by RFC 8259."""

_NOT_JSON = "not valid JSON: "
_PRETTY = "If each value is spread over several lines, 'jq -c . FILE' writes each on one line"
_PYTHON = "If Python wrote the file with str() or repr(), write it with json.dumps instead"
_WORDS = {
    "NaN": "",
    "nan": "",
    "Infinity": "",
    "-Infinity": "",
    "inf": "",
    "-inf": "",
    "undefined": "",
    "None": ", but Python: null is meant",
    "True": ", but Python: true is meant",
    "False": ", but Python: false is meant",
    "NULL": ": null has small letters",
    "TRUE": ": true has small letters",
    "FALSE": ": false has small letters",
}
"""Words that programs write for values, and what to add to that."""
_OPENED = {"{": "an object", "[": "an array"}
_ICONV = {"Latin-1": "ISO-8859-1", "Windows-1252": "WINDOWS-1252"}
_BOM = "\ufeff"
_TYPOGRAPHIC = "\u2018\u2019\u201a\u201c\u201d\u201e"
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


def explain(record: bytes, error: orjson.JSONDecodeError, *, document: bool = False) -> Reason:
    """The reason why a record that orjson refuses is rejected.

    Args:
        record: As it is in the source, with the white space around it.
        document: Whether the record is a file of its own, so that lines are counted.
    """
    if (why := _no_text(record)) is not None:
        return why
    try:
        text = record.decode()
    except UnicodeDecodeError as bad:
        return _not_utf_8(record, bad, document)
    if len(record) > _LONGEST_CHECKED and not any(part in error.msg for part in _MAYBE_JSON):
        place = _place(text, len(record) - len(record.lstrip(JSON_SPACE)) + error.pos, document)
        return Reason(ReasonCode.INVALID_JSON, f"{_NOT_JSON}{error.msg} ({place})")
    try:
        found = check(text)
    except NotJsonError as wrong:
        words, hint = _words(text, wrong.fault)
        place = _place(text, wrong.fault.offset, document)
        return Reason(ReasonCode.INVALID_JSON, f"{_NOT_JSON}{words} ({place})", hint)
    return _not_portable(text, found, error, document)


def _place(text: str, offset: int, document: bool) -> str:
    """Line and column, both from 1 and the column in characters, as editors count them."""
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return f"line {line}, column {column}" if document or "\n" in text.strip() else f"column {column}"


# --- bytes ---------------------------------------------------------------------------------------------------------


def _no_text(record: bytes) -> Reason | None:
    """The reason to reject a record of NULs, or in an encoding whose ASCII characters hold NULs."""
    nuls = record.count(b"\0")
    if not nuls:
        return None
    if nuls == len(record.strip(JSON_SPACE)):
        text = f"{_NOT_JSON}the record is nothing but {nuls:,} NUL bytes: a hole in the file, as a crash leaves it"
        return Reason(ReasonCode.INVALID_JSON, text, "Look at the end of the file, and at the program that wrote it")
    leading = len(record) - len(record.lstrip(b"\0"))
    if leading > 3 and record.lstrip(b"\0")[:1] in (b"{", b"[", b'"') and nuls == leading:
        text = f"{_NOT_JSON}{leading:,} NUL bytes before the text, as in a log that was truncated while it was open"
        return Reason(ReasonCode.INVALID_JSON, text, "'tr -d \"\\000\" < FILE' removes them")
    for name, share in (("UTF-32", 0.7), ("UTF-16", 0.4)):
        if nuls >= share * len(record) and (name == "UTF-32" or nuls in (record[::2].count(0), record[1::2].count(0))):
            text = f"{_NOT_JSON}it looks like {name}, and JSON is UTF-8"
            return Reason(ReasonCode.INVALID_JSON, text, f"'iconv -f {name} -t UTF-8 FILE' converts it")
    if trailing := len(record) - len(record.rstrip(b"\0")):
        text = f"{_NOT_JSON}{trailing:,} NUL bytes after the text: a hole in the file, as a crash leaves it"
        return Reason(ReasonCode.INVALID_JSON, text, "'tr -d \"\\000\" < FILE' removes them")
    return None


def _not_utf_8(record: bytes, bad: UnicodeDecodeError, document: bool) -> Reason:
    offset = len(record[: bad.start].decode())
    text = record.decode(errors="replace")
    place = f"{_place(text, offset, document)}, byte {bad.start + 1}"
    words, hint = f"byte 0x{record[bad.start]:02X} is not UTF-8", ""
    if record.startswith((b"\xff\xfe", b"\xfe\xff")):
        words, hint = f"{words}, it looks like UTF-16", "'iconv -f UTF-16 -t UTF-8 FILE' converts it"
    elif bad.reason == "unexpected end of data":
        words = f"{words}: the record ends in the middle of a character"
    elif record[bad.start] == 0xED and 0xA0 <= record[bad.start + 1] <= 0xBF:
        words = f"the bytes from 0x{record[bad.start]:02X} on are a surrogate, which UTF-8 does not have"
    elif (name := _single_byte_encoding(record)) is not None:
        words, hint = f"{words}, it looks like {name}", f"'iconv -f {_ICONV[name]} -t UTF-8 FILE' converts it"
    return Reason(ReasonCode.INVALID_JSON, f"{_NOT_JSON}{words} ({place})", hint)


def _single_byte_encoding(record: bytes) -> str | None:
    """The encoding in which the record is JSON; None if there is none."""
    # Bytes 0x80 to 0x9F are control characters in Latin-1, and quotes, dashes and the euro sign in Windows-1252.
    name = "Windows-1252" if any(0x80 <= byte <= 0x9F for byte in record) else "Latin-1"
    with suppress(UnicodeDecodeError, NotJsonError):
        check(record.decode(name))
        return name
    return None


# --- JSON that consumers do not read alike -------------------------------------------------------------------------


def _not_portable(text: str, found: Findings, error: orjson.JSONDecodeError, document: bool) -> Reason:
    if found.lone_surrogate is not None:
        escape = text[found.lone_surrogate : found.lone_surrogate + 6]
        what, at = f"a lone surrogate {escape}", found.lone_surrogate
    elif found.beyond_double is not None:
        what, at = "a number beyond the range of a double", found.beyond_double
    elif found.too_deep is not None:
        what, at = f"it is nested more than {MOST_LEVELS:,} levels deep", found.too_deep
    else:
        what, at = error.msg, error.pos
    words = f"valid JSON, but {what} ({_place(text, at, document)}), which consumers do not read alike"
    return Reason(ReasonCode.NOT_PORTABLE, words, "--accept-any-json loads it as it is")


# --- grammar -------------------------------------------------------------------------------------------------------


def _words(text: str, fault: Fault) -> tuple[str, str]:
    """What is wrong at a place, and what to do about it ('' if there is nothing special to do)."""
    char = text[fault.offset : fault.offset + 1]
    if not char:
        return _ends_early(text, fault)
    if fault.expected is Expected.IN_STRING:
        return _in_string(text, fault)
    if fault.expected is Expected.IN_NUMBER:
        return _in_number(text[fault.offset :])
    for word, more in _WORDS.items():
        end = fault.offset + len(word)
        if text.startswith(word, fault.offset) and not text[end : end + 1].isalnum():
            return f"{word} is no value of JSON{more}", _PYTHON if "Python" in more else ""
    if char.isspace():
        return f"U+{ord(char):04X} is no white space in JSON", ""
    if char == _BOM:
        return "a byte order mark, which only the start of a file may have", "Were files joined that each have one?"
    if char in _TYPOGRAPHIC:
        return f"a string has straight double quotes, not {char}", ""
    if char == "'":
        return "a string has double quotes, not single ones", _PYTHON
    if text.startswith(("//", "/*"), fault.offset) or char == "#":
        return "JSON has no comments", ""
    if char in "xX" and fault.expected in (Expected.COMMA_OR_CLOSE, Expected.END) and text[fault.offset - 1] == "0":
        return "a number that is not decimal", ""
    if fault.expected is Expected.END:
        return _after_the_end(text, fault, char)
    shown = _shown(char)
    if fault.expected in (Expected.KEY, Expected.KEY_OR_CLOSE):
        if char == "}":
            return "a comma before '}'", ""
        if char.isalnum() or char in "_$":
            return "a key has no double quotes", ""
        return f"{shown} where a key should begin", ""
    if fault.expected is Expected.COLON:
        return f"{shown} after a key, where a colon should be", ""
    if fault.expected is Expected.COMMA_OR_CLOSE:
        close = "}" if fault.open.endswith("{") else "]"
        return f"{shown} after a value, where a comma or '{close}' should be", ""
    if char in "]}" and text[fault.after : fault.after + 1] == ",":
        return f"a comma before '{char}'", ""
    if not fault.open and char in "]},:":
        return f"it begins with '{char}', so the record is a part of a larger value", _PRETTY
    if char in ",]}":
        return f"{shown} where a value should be", ""
    if any(word.startswith(text[fault.offset :].rstrip()) for word in ("true", "false", "null")):
        return "the record ends within a word: is it cut off?", ""
    if char in "+." and text[fault.offset + 1 : fault.offset + 2].isdigit():
        return f"a number begins with {shown}", ""
    return f"{shown} where a value should begin", ""


def _ends_early(text: str, fault: Fault) -> tuple[str, str]:
    if fault.expected is Expected.IN_STRING:
        return "the record ends within a string: is it cut off?", ""
    if fault.expected is Expected.IN_NUMBER:
        return "the record ends within a number: is it cut off?", ""
    what = _OPENED[fault.open[-1]] if fault.open else "a value"
    hint = _PRETTY if len(text) < 200 else ""  # a long line is cut off rather than a part of a document
    return f"the record ends, but {what} does not: is it cut off, or spread over several lines?", hint


def _in_string(text: str, fault: Fault) -> tuple[str, str]:
    char = text[fault.offset]
    if char == "\\":
        escape = text[fault.offset : fault.offset + 2]
        if _CUT_ESCAPE.match(text.rstrip(), fault.offset):
            return "the record ends within a string: is it cut off?", ""
        if escape[1] == "u":
            return "\\u in a string, without four hexadecimal digits after it", ""
        return f"'{escape}' in a string is no escape of JSON" if escape.isprintable() else "a backslash in a string", ""
    short = {"\t": "\\t", "\r": "\\r", "\n": "\\n"}.get(char, f"\\u{ord(char):04x}")
    return f"control character U+{ord(char):04X} in a string, where {short} should be", ""


def _in_number(rest: str) -> tuple[str, str]:
    digits = rest.lstrip("-")
    if rest.startswith(("-Infinity", "-inf")):
        word = "-Infinity" if rest.startswith("-Infinity") else "-inf"
        return f"{word} is no value of JSON", ""
    if digits == "" or (digits[:-1].rstrip("eE+-.").isdigit() and digits[-1] in "eE+-."):
        return "the record ends within a number: is it cut off?", ""
    if digits[0] == "0" and digits[1:2].isdigit():
        return "a number begins with 0", ""
    return "a number that is not written as JSON has it", ""


def _after_the_end(text: str, fault: Fault, char: str) -> tuple[str, str]:
    if char in ",:]}":
        return f"'{char}' after the end of the value, so the record is a part of a larger value", _PRETTY
    begins = char in '{["' or char.isdigit()
    if begins and text[fault.after] in "]}":
        return "another value after the end of the first one", "'jq -c . FILE' writes each value on its own line"
    return f"{_shown(char)} after the end of the value", ""


def _shown(char: str) -> str:
    """A character in words: itself, or its code if it would not be seen."""
    return f"'{char}'" if char.isprintable() else f"U+{ord(char):04X}"
