"""`python -m aeinfer` is the command `aeinfer`."""

import sys

from aeinfer.cli import main

if __name__ == "__main__":
    sys.exit(main())
