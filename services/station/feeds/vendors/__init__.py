# SPDX-License-Identifier: Apache-2.0
"""One module a vendor: what its interface says, as bars and answers."""
