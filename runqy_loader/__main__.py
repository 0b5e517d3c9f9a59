"""``python -m runqy_loader``: the same as ``runqy-loader``."""

from loader.__main__ import main

if __name__ == "__main__":
    main()
