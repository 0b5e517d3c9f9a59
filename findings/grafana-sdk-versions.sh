#!/usr/bin/env bash
# grafana-foundation-sdk (Python; seen 2026-11-29, newest release 1769699998!10.1.0): `pip install` of it, without a
# version, installs the library for the OLDEST Grafana that it is published for.
# Guess that it refutes: the newest version of the package is the one for the newest Grafana, as with its Go module.
#
# The package is built once for each Grafana, and the time of the build is the epoch of its version (PEP 440), before the
# "!". The builds of one day begin with the newest Grafana and end with 10.1, so 10.1 has the largest epoch, and sorts last.
# What follows, seen below: a dashboard made with it has not the fields that today's schema requires.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip --disable-pip-version-check --quiet"

cat >"$folder/make.py" <<'PYTHON'
from grafana_foundation_sdk.builders import common, dashboard, stat
from grafana_foundation_sdk.cog.encoder import JSONEncoder

panel = stat.Panel().title("one").reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
print(JSONEncoder().encode(dashboard.Dashboard("one").with_panel(panel).build()))
PYTHON

has_field() { "$folder/venv/bin/python" "$folder/make.py" | grep -q '"percentChangeColorMode"'; }

# As a user would install it, but no newer than what was seen.
$pip install 'grafana-foundation-sdk<=1769699998!10.1.0'
newest=$("$folder/venv/bin/python" -c 'from importlib.metadata import version; print(version("grafana_foundation_sdk"))')
echo "the newest version: $newest"
test "$newest" = '1769699998!10.1.0'
if has_field; then echo "a panel has the fields of newer Grafanas"; exit 1; fi
echo "a stat panel that it makes has no percentChangeColorMode"

$pip install 'grafana-foundation-sdk==1769699379!11.6.0'
has_field
echo "one that 1769699379!11.6.0 makes has it: a release of the same day, ten minutes older, for a newer Grafana"
