"""The checks before a load, and of ``runqy-loader doctor``: server, rights, layout in use, memory."""
