"""One `osr run`, from its spec to its orderly end."""
