"""Whole studies: the rows of a table on the same folds, with tests and tables."""

from evoked.laboratory.comparison import RunComparison, compare_runs, table_of_runs
from evoked.laboratory.study import FitsDone, Study, StudyCallbacks, StudyResults
from evoked.laboratory.study_tables import correlation_table, result_table
from evoked.laboratory.writing import write_comparison, write_results

__all__ = [
    "FitsDone",
    "RunComparison",
    "Study",
    "StudyCallbacks",
    "StudyResults",
    "compare_runs",
    "correlation_table",
    "result_table",
    "table_of_runs",
    "write_comparison",
    "write_results",
]
