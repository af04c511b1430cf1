"""What is computed of a pass when it is over: how sure its figures are, and average precision."""
