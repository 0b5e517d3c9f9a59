#!/bin/sh
# hiredis 3.5.0 (Python): a RESP3 map whose key is an array or a map ends in TypeError, which is no error of hiredis.
#
# Guess: a reply that the reader cannot represent raises one of its own errors, as what is no RESP does. So a client that
# handles hiredis.HiredisError handles everything that a server may send. (A set with an array in it is given as a list.)
# Seen: gets() raises TypeError "unhashable type", which is none of them. The same bytes are valid RESP3: a key of a map
# may be any type.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hiredis==3.5.0

"$folder/venv/bin/python" - <<'PYTHON'
import hiredis


def read(text):
    reader = hiredis.Reader()
    reader.feed(text)
    try:
        return repr(reader.gets())
    except Exception as error:
        return type(error).__name__ + (" (of hiredis)" if isinstance(error, hiredis.HiredisError) else "")


seen = {
    "a map with a text as key": read(b"%1\r\n+a\r\n+b\r\n"),
    "a map with an array as key": read(b"%1\r\n*1\r\n+a\r\n+b\r\n"),
    "a map with a map as key": read(b"%1\r\n%1\r\n+a\r\n+b\r\n+c\r\n"),
    "a set with an array in it": read(b"~1\r\n*1\r\n+a\r\n"),
    "no RESP at all": read(b"HTTP/1.1 400\r\n"),
}
print(f"hiredis {hiredis.__version__}")
for what, found in seen.items():
    print(f"  {what}: {found}")
expected = ["{b'a': b'b'}", "TypeError", "TypeError", "[[b'a']]", "ProtocolError (of hiredis)"]
raise SystemExit(list(seen.values()) != expected)
PYTHON
