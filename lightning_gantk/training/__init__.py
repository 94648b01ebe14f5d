"""What the training step leans on: evaluation, the look for NaN, schedules, time, resumption, folders of runs."""
