"""Ways round a guard, each with a harmless twin; `evasion.py` beside this folder runs them."""
