"""Rules of law and of venues by effective date, and what the account's trades say about them."""
