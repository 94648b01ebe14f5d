"""What came of a comparison: results read from the runs, statistics, tables, figures, one page."""
