# SPDX-License-Identifier: Apache-2.0
"""The virtual machine with a kernel and a boot loader of its own, for what a container cannot show."""
