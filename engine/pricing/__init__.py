"""What cuts would do to the network: studies of units and groups, and prices of single cuts and of whole sets."""
