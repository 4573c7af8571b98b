"""The HTML report: one file that shows how good a run is, and where."""

from evoked.report.write import write_report

__all__ = ["write_report"]
