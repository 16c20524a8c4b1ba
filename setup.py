"Package metadata from settings.ini, the only place where it is written; the wheel carries what a project is made of"
import configparser
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
parser = configparser.ConfigParser(delimiters=["="], interpolation=None)
parser.read(here / "settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]
extras = ("serve", "research", "dev")


def kit_lines():
    "Folder in the kit, pattern in the repository, and a new name if there is one"
    lines = (here / cfg["lib_path"] / "kit/files.txt").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


class BuildWithKit(build_py):
    "Modules, and the files that `assay new` makes a project of"

    def run(self):
        super().run()
        if self.editable_mode:  # a clone has them where they lie
            return
        kit = Path(self.build_lib) / cfg["lib_path"] / "kit"
        for folder, pattern, *name in kit_lines():
            for file in sorted(here.glob(pattern)):
                target = kit / folder / (name[0] if name else file.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


setup(
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"].split(),
    long_description=(here / "README.md").read_text(encoding="utf-8") if (here / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    packages=find_packages(include=[cfg["lib_path"], f"{cfg['lib_path']}.*"]),
    package_data={cfg["lib_path"]: ["templates/*", "kit/files.txt", "kit/project/*"]},
    cmdclass={"build_py": BuildWithKit},
    install_requires=cfg["requirements"].split(),
    extras_require={name: cfg[f"{name}_requirements"].split() for name in extras},
    entry_points={"console_scripts": cfg["console_scripts"].split()},
)
