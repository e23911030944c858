"""Tables, curves and pages made of scores."""
