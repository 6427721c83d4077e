"""How a run gets there: what is sent of it, when, what is proved, and what is written down of it."""
