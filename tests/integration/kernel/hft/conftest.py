# SPDX-License-Identifier: Apache-2.0
"""What the machine would tell Prometheus."""

import pytest

TEXTFILES = "/var/lib/prometheus/node-exporter"


@pytest.fixture(scope="module")
def metrics(on_vm):
    """Return a function that reads the role's metrics, in a folder that a node exporter would have made."""
    on_vm(f"mkdir -p {TEXTFILES}")
    yield lambda: on_vm(f"cat {TEXTFILES}/fleet_kernel.prom").splitlines()
    on_vm(f"rm -r {TEXTFILES}")
