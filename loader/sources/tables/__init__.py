"""Tables: CSV, Parquet, Arrow. Each row becomes a JSON object."""
