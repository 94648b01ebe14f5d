"""What docs/systems says was measured, and its pictures."""
