# SPDX-License-Identifier: Apache-2.0
"""Configuration: one YAML file a service, checked by one set of models wherever it is written, shipped or read.

load(path)                  the service of a file, for `station run`
check(paths)                what is wrong with files, for `station config check` and Ansible's `validate:`
check_services(services)    what is wrong with services that are plain data, for the inventory
explain(path)               each value of a file and where it is from, for `station config show`
"""

from station.config.agents import AgentService
from station.config.api import Value, check, check_services, explain, load
from station.config.feeds import FeedService
from station.config.recorder import RecorderService
from station.config.services import AnyService

__all__ = [
    "AgentService",
    "AnyService",
    "FeedService",
    "RecorderService",
    "Value",
    "check",
    "check_services",
    "explain",
    "load",
]
