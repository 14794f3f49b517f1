"""How channels run through a network: axes, groups, the rules of operators, and what removing them takes."""
