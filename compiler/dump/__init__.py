"""The forms in which a graph can be read: text, JSON, DOT."""
