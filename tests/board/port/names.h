// The names that only this port has come from its sources.
