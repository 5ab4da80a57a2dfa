"""Measurements of the project, each with the goal it is held to."""
