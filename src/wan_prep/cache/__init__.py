"""What was seen in files, kept on disk, so that no file is looked at twice."""
