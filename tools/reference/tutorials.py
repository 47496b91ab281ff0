"""Run the three tutorials and keep what PyTorch printed, as the text that wengert's examples must print."""

import contextlib
import io
import pathlib
import runpy

FOLDER = pathlib.Path(__file__).parents[2] / "crates/wengert/tests/data/tutorials"


def main():
    """Write one `.txt` next to each tutorial's `.py`."""
    for program in sorted(FOLDER.glob("*.py")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(program))
        program.with_suffix(".txt").write_text(printed.getvalue())
        print(f"{program.stem}: {len(printed.getvalue().splitlines())} lines")


if __name__ == "__main__":
    main()
