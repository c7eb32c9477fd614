"""The matching kernel: the one compiled program that decides every simulated fill.

Data flows down these modules: `codes` and `records` say what the arrays hold, `memory` reaches them from compiled code,
`triggers` says whether and where a bar executes an order, `pricing` what that costs, `buying_power` how much of it the
account can carry, `bookings` moves cash and shares, `order_book` opens and ends orders, `session_opening` books what a
night brings, `sizing` turns target weights into orders, `submission` takes the strategy's, `stepping` is the loop, and
`simulation` is the Python object around it. The conventions are written down in ``docs/fills.md``.
"""
