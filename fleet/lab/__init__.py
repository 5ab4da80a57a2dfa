"""The lab: the fleet as systemd containers on one machine."""
