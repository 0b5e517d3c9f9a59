"""What a load into each kind of target does around the pipeline; one module a kind."""
