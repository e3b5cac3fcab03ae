"""Random programs: written as data, run eagerly and compiled, printed as Python when they disagree."""
