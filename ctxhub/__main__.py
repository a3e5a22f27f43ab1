"""`python -m ctxhub` does what the `ctxhub` command does."""

import sys

from ctxhub.cli import main

if __name__ == "__main__":
    sys.exit(main())
