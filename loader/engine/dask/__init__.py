"""Runs the shards of a load on a Dask cluster. It needs the extra dask; see docs/dask.md."""
