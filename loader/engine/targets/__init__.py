"""The work around the pipeline for each kind of target; one module for each kind."""
