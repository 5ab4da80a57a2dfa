# SPDX-License-Identifier: Apache-2.0
"""What a machine is made of, and what its processors may do."""
