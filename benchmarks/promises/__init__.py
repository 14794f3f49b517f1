"""What the service promises its users, shown on real processes: nothing lost, nobody passed over, honest estimates."""
