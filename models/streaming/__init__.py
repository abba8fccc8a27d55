"""Networks that play period by period: writing their graphs, and fixing them to a period."""
