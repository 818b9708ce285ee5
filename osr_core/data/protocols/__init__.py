"""Published class lists, one JSON file per protocol; `osr_core.data.splits` reads them.

{"source": paper and repository, "notes": [known defects], "splits": {"CIFAR10": [{"known": [...],
"unknown": [...]}, ...], "CIFAR10@variant": ...}}; a split's number is its position in the list.
"""
