"""What hive touches: one module for one outside thing."""
