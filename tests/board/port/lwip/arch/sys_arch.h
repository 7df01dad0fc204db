// lwIP runs without an operating system, so there is nothing to say.
