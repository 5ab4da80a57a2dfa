# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: none of them fails for the time that it took, on whatever machine."""

from hypothesis import settings

settings.register_profile("fleet", deadline=None)
settings.load_profile("fleet")
