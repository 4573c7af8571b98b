"""Whole studies: the rows of a table on the same folds, with tests and tables."""

from evoked.laboratory.study import FitsDone, Study, StudyProgress, StudyResults
from evoked.laboratory.tables import correlation_table, result_table
from evoked.laboratory.writing import write_results

__all__ = [
    "FitsDone",
    "Study",
    "StudyProgress",
    "StudyResults",
    "correlation_table",
    "result_table",
    "write_results",
]
