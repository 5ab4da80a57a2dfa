# SPDX-License-Identifier: Apache-2.0
"""Faults on purpose: a station of real processes is hurt at a seeded moment, and what it promised is counted."""
