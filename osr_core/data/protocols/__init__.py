"""Published class lists, one JSON file per protocol; `osr_core.data.splits` reads them.

{"source": paper and repository, "notes": [{"on": ["CIFAR10", ...], "text": known defect}, ...],
"splits": {"CIFAR10": [{"known": [...], "unknown": [...]}, ...], "CIFAR10@variant": ...}}; a split's
number is its position in the list. A note without "on" concerns all data sets.
"""
