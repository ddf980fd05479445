"""`python -m utils`, run in the pack's folder: the command without installing it."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
