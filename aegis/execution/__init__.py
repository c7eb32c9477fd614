"""Orders and what becomes of them: vocabulary, state machine, journal, decisions, accounting."""
