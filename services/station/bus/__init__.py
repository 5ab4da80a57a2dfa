# SPDX-License-Identifier: Apache-2.0
"""The event bus: what publishes and consumes see of it (`port`), over Redis Streams and in memory."""
