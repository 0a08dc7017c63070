"""``python -m streams.cli``: the same as ``dailies``."""

from streams.cli import main

main()
