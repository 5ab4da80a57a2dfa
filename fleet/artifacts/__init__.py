# SPDX-License-Identifier: Apache-2.0
"""What is made on the control machine and carried to the hosts."""
