"""What is run by hand or by make: locks, generated files, trials."""
