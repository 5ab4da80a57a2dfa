"""Modules find their shared code as ansible.module_utils.<name>, as on a host: one copy for all tests."""

import sys
from importlib import import_module

import ansible.module_utils

# In the order in which they need each other.
for name in ("kernel_boot_plan", "kernel_grub", "kernel_trial", "kernel_boot_host"):
    module = import_module(f"plugins.module_utils.{name}")
    sys.modules[f"ansible.module_utils.{name}"] = module
    setattr(ansible.module_utils, name, module)
