# SPDX-License-Identifier: Apache-2.0
"""What modules on a host and the control machine share; Ansible takes its module_utils from here."""
