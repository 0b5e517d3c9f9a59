"""``python -m docsite``: the site in build/site, the man pages in build/man. A broken link is an error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from docsite.assemble import assemble

BUILD = Path("build")


def main() -> int:
    """Builds both. Returns the exit status of the first that fails."""
    pages = BUILD / "pages"
    assemble(pages)
    for builder, folder in (("html", BUILD / "site"), ("man", BUILD / "man")):
        if folder.exists():
            shutil.rmtree(folder)
        strict = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
        if status := sphinx([*strict, "-b", builder, "-d", str(BUILD / "doctrees"), str(pages), str(folder)]):
            return status
    # The pages keep their places, so that links are the same in the repository and on the site.
    (BUILD / "site" / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><title>runqy-loader</title>'
        '<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">runqy-loader</a>\n'
    )
    print(f"{BUILD / 'site' / 'index.html'}\n{BUILD / 'man'}: {len(list((BUILD / 'man').glob('*.1')))} man pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
