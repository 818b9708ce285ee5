"""Tables: from finished trials to rows with means, ranks and tests, and to text."""
