"""The session loop: fills, positions, risk, orders, one session after another."""
