#!/bin/sh
# protobuf 6.33.0 (Python) and google.golang.org/protobuf 1.36.11 (Go): a map entry with a further field is an entry of
# the map for one of them only.
#
# Guess: both read the same messages alike. A further field in the entry of a map is passed over, or kept, as a further
# field anywhere else is, and key and value are in the map. (asynq keeps a task's headers in such a map.)
# Seen: Go has the entry in the map. Python has not: the map is empty, and the entry stays as an unknown field of the
# message, so that it is there again when the message is written.
set -eu

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check protobuf==6.33.0

cat >"$folder/read.py" <<'PYTHON'
import sys

import google.protobuf
from google.protobuf.struct_pb2 import Struct

one = Struct()
one.fields["name"].number_value = 1
plain = one.SerializeToString()
entry = plain[2:] + b"\x18\x07"  # field 3, an integer
further = b"\x0a" + bytes([len(entry)]) + entry
open(sys.argv[1], "wb").write(further)
read = [Struct.FromString(text) for text in (plain, further)]
print(f"protobuf {google.protobuf.__version__} (Python): {[sorted(each.fields) for each in read]}")
raise SystemExit([sorted(each.fields) for each in read] != [["name"], []] or read[1].SerializeToString() != further)
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$folder/message"

cd "$folder"
cat >go.mod <<'GO'
module example.com/read

go 1.23
GO
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func main() {
	text, err := os.ReadFile("message")
	if err != nil {
		panic(err)
	}
	var read structpb.Struct
	if err := proto.Unmarshal(text, &read); err != nil {
		panic(err)
	}
	_, found := read.Fields["name"]
	fmt.Printf("google.golang.org/protobuf 1.36.11 (Go): %d entry, 'name' is there: %v\n", len(read.Fields), found)
	if !found {
		os.Exit(1)
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go get google.golang.org/protobuf@v1.36.11 2>/dev/null
go run .
