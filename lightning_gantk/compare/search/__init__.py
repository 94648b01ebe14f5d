"""The search before a comparison: trials of every cell, kept in files, proposed by Optuna's samplers."""
