"""What a pair is compared by: what one side shows, and what two sides differ by."""
