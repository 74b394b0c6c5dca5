"""Reports: after each run a page and a CSV, with its counters, what was not taken in and why, and samples."""

from pipelines.reports.writing import reports_folder, write_report

__all__ = ["reports_folder", "write_report"]
