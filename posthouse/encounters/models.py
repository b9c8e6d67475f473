"""What is remembered of strangers; every row has a moment after which it is swept away."""
