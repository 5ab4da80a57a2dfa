# SPDX-License-Identifier: Apache-2.0
"""The services that run on the trading station: feeds, agents, the event bus between them, the journal behind them."""
