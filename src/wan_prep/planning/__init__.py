"""Report with Evidence → frozen operations. Pure: nothing is opened, nothing is written."""
