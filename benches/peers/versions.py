"""Prints the versions of the packages that are named, where they are there, and of Python."""

import importlib.metadata
import json
import platform
import sys

versions = {"python": platform.python_version()}
for package in sys.argv[1:]:
    try:
        versions[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(versions))
