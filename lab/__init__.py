# SPDX-License-Identifier: Apache-2.0
"""The fleet on one machine: containers, virtual machines, stand-ins and the programs they need."""
