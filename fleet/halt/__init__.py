# SPDX-License-Identifier: Apache-2.0
"""The fleet's kill switch, `make halt`: plain ssh to all hosts at once, whatever else is broken."""
