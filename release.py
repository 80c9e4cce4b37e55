"""Build and check a release, and upload it: ``make release``, or ``make release DRY_RUN=1``.

The Makefile runs ``release.py [--dry-run]``. The files are in ``dist``.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import finta_keys

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"


def problems() -> list[str]:
    """Return what would stop a release, as sentences."""
    version = re.escape(finta_keys.__version__)
    changelog = (ROOT / "CHANGELOG.md").read_text()
    result = []
    if run("git", "status", "--porcelain"):
        result.append("There are uncommitted changes.")
    if not re.search(rf"^## {version} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        result.append(f"CHANGELOG.md has no section for {finta_keys.__version__} with a date.")
    if re.search(r"^## Unreleased\n+(?!## )\S", changelog, re.MULTILINE):
        result.append("CHANGELOG.md has unreleased entries. Give them a version and a date.")
    if "https://example.com" in (ROOT / "pyproject.toml").read_text():
        result.append("pyproject.toml has addresses at example.com. Replace them by those of the repository.")
    if f"v{finta_keys.__version__}" in run("git", "tag", "--list").split():
        result.append(f"The tag v{finta_keys.__version__} exists. Set a new version.")
    return result


def run(*command: object) -> str:
    """Run a command in the repository and return its output."""
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def build(folder: Path) -> dict[str, bytes]:
    """Build the sdist, and the wheel from it. Return the contents of the files by name."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def make_files() -> list[Path]:
    """Write the files of the release into ``dist``. Return the sdist and the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    files = build(DIST)
    with tempfile.TemporaryDirectory() as name:
        if build(Path(name)) != files:
            raise SystemExit("Two builds differ, so no one could verify the files.")
    paths = [DIST / name for name in files]
    run(sys.executable, "-m", "twine", "check", "--strict", *paths)
    sbom = DIST / f"finta_keys-{finta_keys.__version__}.cdx.json"
    options = ("--output-reproducible", "--output-format", "JSON", "--output-file", sbom)
    run(
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        "requirements.txt",
        "--pyproject",
        "pyproject.toml",
        *options,
    )
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in [*paths, sbom]]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    return paths


def main(*arguments: str) -> int:
    is_dry_run = "--dry-run" in arguments
    stops = problems()
    for problem in stops:
        print(f"{'Would stop a release' if is_dry_run else 'Stopped'}: {problem}", file=sys.stderr)
    if stops and not is_dry_run:
        return 1
    paths = make_files()
    print("".join(f"{path.relative_to(ROOT)}\n" for path in sorted(DIST.iterdir())), end="")
    if is_dry_run:
        print("Not uploaded: this was a dry run.")
    else:
        subprocess.run([sys.executable, "-m", "twine", "upload", *map(str, paths)], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
