# Nothing but what the header says.
