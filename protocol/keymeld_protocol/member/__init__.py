"""What a member computes from a log it has opened: roster, plan, attempt, policies, faults (§10, §11)."""
