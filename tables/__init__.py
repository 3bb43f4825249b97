"""What is in the tables, and who writes them."""
