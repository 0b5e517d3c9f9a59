"""What is looked at before a load, and by ``runqy-loader doctor``: server, rights, layout in use, memory."""
