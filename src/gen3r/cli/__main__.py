"""``python -m gen3r.cli``: the same as ``gen3r``."""

from gen3r.cli.main import main

main()
