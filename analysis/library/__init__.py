"""What notebooks call of tables and figures; `analysis` itself offers these names."""
