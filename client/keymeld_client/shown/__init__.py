"""What a verified log comes to, for people: requests, results, faults, exported logs."""
