"""``python -m evoked`` is the command ``evoked``."""

from evoked.cli import main

main()
