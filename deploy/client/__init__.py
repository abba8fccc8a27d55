"""The update client: verified releases from a web server or a stick, into the slot not in use."""
