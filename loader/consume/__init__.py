"""A synthetic consumer: takes tasks and ends them as a real worker would, without executing anything."""
