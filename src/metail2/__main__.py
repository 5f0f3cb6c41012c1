"""``python -m metail2``: the same as the command ``metail2``."""

from metail2.cli import main

if __name__ == "__main__":
    main()
