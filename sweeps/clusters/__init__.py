"""Ray clusters seen from outside: files that start one, and jobs handed to one."""
