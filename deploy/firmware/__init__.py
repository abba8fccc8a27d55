"""The pedal's code as a release: made on a publisher's machine, installed offline into a slot."""
