"""The targets, one a module, each with two functions.

``seeds()`` yields inputs to begin with. ``check(data)`` does the work on one input: it returns where all is well, and
raises where the code and its oracle disagree, or where the code raises an error that it does not document.
"""
