"""What we claim, measured: ``make bench``. README.md has the figures and says what they are made of."""
