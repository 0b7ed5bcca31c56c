"""Which versions of what has a part in the results are installed?"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

PACKAGES = ("cnnsearch", "torch", "torchvision", "optuna", "pydantic", "numpy")


@cache  # a study writes its summary after every trial, and to look up six versions takes milliseconds
def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Give the versions of Python and of packages, of all that has a part in a search if not said; imports none."""
    found = {"python": python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an extra, or a checkout that was not installed
            found[package] = "not installed"
    return found
