"""What a comparison is to do: its specification, and the runs that follow from it."""
