"""When tasks are due: rates, profiles, schedules. Pure, except that a rate file is read."""
