"""From sound to lip signals; knows no renderer."""
