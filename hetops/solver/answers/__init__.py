"""From nodes that a search found to a solution: whole numbers are fixed, shares made even, pools few, costs added up."""
