"""How fast a configuration serves a class: memory, step times, rates within targets, layers of evidence."""
