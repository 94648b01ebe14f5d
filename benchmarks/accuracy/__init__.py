"""How far scores are from the truth, over thousands of drawn cases."""
