# SPDX-License-Identifier: Apache-2.0
"""`python -m station` is the command `station`."""

import sys

from station.cli import main

if __name__ == "__main__":
    sys.exit(main())
