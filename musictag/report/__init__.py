"""From outcomes to what people and programs read."""
