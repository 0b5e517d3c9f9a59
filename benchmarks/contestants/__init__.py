"""The contestants, one file each. A new contestant is one new module and one line in ``registry``."""
