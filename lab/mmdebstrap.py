# SPDX-License-Identifier: Apache-2.0
"""Install a Debian into a folder, in namespaces of its own: an interrupted run leaves no mount and no process."""

from __future__ import annotations

# mmdebstrap mounts proc, sys and dev into the folder; orphaned, it goes on writing there while the next run starts.
COMMAND = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    "mmdebstrap",
)
