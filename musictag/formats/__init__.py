"""What kinds of audio files there are, and readers for the structures that they share."""
