"""The project's own rules that no general linter knows."""
