"""Power cuts without hardware: what the page cache had not written back is lost, then it boots."""
