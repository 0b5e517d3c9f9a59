#!/usr/bin/env bash
# grafana-foundation-sdk 0.0.22 (Go): `UnmarshalJSONStrict` of a dashboard that follows the schema fills the dashboard, and
# returns an error. Its text is empty.
# Guess that it refutes: `err != nil` tells a dashboard that breaks the schema from one that does not.
#
# The errors are collected in a list whose type is an error, and the list is returned even if it is empty. In Go, an
# interface that holds an empty list is not nil. `Validate` of the same dashboard returns nil.
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
export GOMODCACHE="$folder/modules" GOFLAGS=-mod=mod GOTOOLCHAIN=local GOWORK=off
cd "$folder"

cat >go.mod <<'GOMOD'
module example.com/strict

go 1.24.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
GOMOD

cat >main.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func try(text string) (error, dashboard.Dashboard) {
	board := dashboard.Dashboard{}
	err := board.UnmarshalJSONStrict([]byte(text))
	return err, board
}

func main() {
	right, board := try(`{"title": "one", "editable": true, "fiscalYearStartMonth": 0, "schemaVersion": 42,
		"templating": {"list": []}, "annotations": {"list": []}}`)
	var list cog.BuildErrors
	isList := errors.As(right, &list)
	fmt.Printf("a dashboard that follows the schema: title %q, error is nil: %v, its text: %q, Validate: %v\n",
		*board.Title, right == nil, fmt.Sprint(right), board.Validate())
	wrong, _ := try(`{"titel": "one"}`)
	fmt.Printf("one that does not: error is nil: %v, has a text: %v\n", wrong == nil, fmt.Sprint(wrong) != "")
	if right == nil || !isList || len(list) != 0 || board.Validate() != nil || wrong == nil || fmt.Sprint(wrong) == "" {
		os.Exit(1)
	}
}
GO

go mod tidy 2>/dev/null
go run .
