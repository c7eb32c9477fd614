"""One definition of each number: returns, ratios, risk, transactions."""
