# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: none of them fails for the time that it took, and modules find their shared code."""

from hypothesis import settings

from tests import shared_code

shared_code.install()
settings.register_profile("fleet", deadline=None)
settings.load_profile("fleet")
