"""What commands print: panels and tables."""
