"""The pages, one module per area; each view asks `access` first and then the rooms below."""
