"""`python -m cdds`: the command line, see `cdds.cli`."""

import sys

from cdds.cli import main

if __name__ == "__main__":
    sys.exit(main())
