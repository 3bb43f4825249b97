"""Track: keeps the account of each job."""
