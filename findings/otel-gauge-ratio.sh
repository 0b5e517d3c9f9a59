#!/usr/bin/env bash
# OpenTelemetry's exporters for Prometheus (Python 0.66b2, Go 0.69.0): the same gauge, whose unit is "1", has two names.
# Guess that it refutes: an instrument has one name in Prometheus, whichever of OpenTelemetry's exporters shows it, so that
# one dashboard fits a service in Python and one in Go. A unit of "1", which says that there is none, adds nothing.
#
# Seen: gauge "redis.up", unit "1": Python shows redis_up, Go shows redis_up_ratio. A counter with this unit has one name. With no
# unit at all, the gauge has one name too. (The OpenTelemetry Collector names them as Go does.)
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install \
	opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2

cat >"$folder/show.py" <<'PYTHON'
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY

meter = MeterProvider(metric_readers=[PrometheusMetricReader()]).get_meter("one")
meter.create_gauge("redis.up", unit="1").set(1)
meter.create_gauge("redis.lag").set(1)
meter.create_counter("tasks", unit="1").add(1)
names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
print(*sorted(name for name in names if name.startswith(("redis", "tasks"))))
PYTHON

mkdir "$folder/go"
cd "$folder/go"
export GOMODCACHE="$folder/modules" GOTOOLCHAIN=local GOWORK=off
cat >go.mod <<'GOMOD'
module example.com/show

go 1.25.0

require (
	github.com/prometheus/client_golang v1.24.1
	go.opentelemetry.io/otel/exporters/prometheus v0.69.0
	go.opentelemetry.io/otel/metric v1.47.0
	go.opentelemetry.io/otel/sdk/metric v1.47.0
)
GOMOD
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"strings"

	client "github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	registry := client.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		panic(err)
	}
	meter := sdk.NewMeterProvider(sdk.WithReader(exporter)).Meter("one")
	up, _ := meter.Int64Gauge("redis.up", metric.WithUnit("1"))
	up.Record(context.Background(), 1)
	lag, _ := meter.Int64Gauge("redis.lag")
	lag.Record(context.Background(), 1)
	tasks, _ := meter.Int64Counter("tasks", metric.WithUnit("1"))
	tasks.Add(context.Background(), 1)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	var names []string
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, "redis") || strings.HasPrefix(name, "tasks") {
			names = append(names, name)
		}
	}
	fmt.Println(strings.Join(names, " "))
}
GO
go mod tidy 2>/dev/null

python=$("$folder/venv/bin/python" "$folder/show.py")
go=$(go run .)
printf 'Python: %s\nGo:     %s\n' "$python" "$go"
test "$python" = "redis_lag redis_up tasks_total"
test "$go" = "redis_lag redis_up_ratio tasks_total"
