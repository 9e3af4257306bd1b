"""A wheel carries the shipped studies, so that ``lrstudy init --from NAME`` works without a checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithStudies(build_py):
    """Copies ``studies/`` into the package that is built; an editable install finds them beside it."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if not self.editable_mode:
            source, target = Path("studies"), Path(self.build_lib, "lrstudy", "studies")
            shutil.rmtree(target, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__", "reexamine*")
            shutil.copytree(source, target, ignore=ignored)


setup(cmdclass={"build_py": BuildWithStudies})
