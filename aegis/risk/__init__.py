"""Numbers of risk, limits on them, breakers and the gate that every order passes."""
