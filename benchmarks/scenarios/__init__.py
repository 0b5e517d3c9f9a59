"""The scenarios, one file each. A new scenario is one new module and one line in ``registry``."""
