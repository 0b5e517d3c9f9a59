#!/bin/sh
# CPython 3.11.7: a module that is compiled where only a part of the result finds room stays broken.
#
# Guess: compiled modules are written whole or not at all (importlib's function for it is called _write_atomic).
# Seen: it does not look at how much was written. Where a write takes only a part, without an error (a disk that fills up,
# a limit of the length of files), the part is renamed to the .pyc, and each later import ends in EOFError. Of an import
# within a click command, nothing is seen: click takes EOFError for the end of an input, and ends with an empty line.
set -eu
unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -c 'print("\n".join(f"def f{n}(): return {n}" for n in range(200)))' > module.py

python3 --version
python3 - <<'PYTHON'
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
import module

resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("the first import works:", module.f7())
PYTHON
ls -l __pycache__ | awk 'NR > 1 { print $5, "bytes of", $9 }'
said=$(python3 -c 'import module' 2>&1 | tail -1)
echo "the second import: $said"
test "$said" = "EOFError: marshal data too short"
