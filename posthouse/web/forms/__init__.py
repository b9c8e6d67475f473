"""What people may send: one module per area, each field with the sentence for when it is wrong."""
