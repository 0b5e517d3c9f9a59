"""Tasks: their ids, their options, how a record states these, and the defaults for each kind of worker."""
