"""How many of the buggy programs are caught, kind by kind: a finding on a line that is marked.

`python tests/pairs/rate.py` prints a Markdown table; `--missed` lists what isn't caught, with what is said instead.
"""

# ruff: noqa: T201 - a table is what it is for

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_pairs import SETS, findings, programs

COLUMNS = (
    ("plain", "buggy", False),
    ("annotated", "buggy annotated", False),
    ("plain, preview", "buggy", True),
    ("annotated, preview", "buggy annotated", True),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--set", choices=SETS, help="of one set alone")
    parser.add_argument("--missed", action="store_true", help="list what isn't caught, too")
    asked = parser.parse_args()
    chosen = [each for each in programs() if asked.set in {None, each.part}]
    caught, total, missed, flagged = Counter(), Counter(), [], []
    for program in chosen:
        for column, form, preview in COLUMNS:
            if program.form == form:
                found = findings(program, preview=preview)
                hit = any(each.span.line in program.marked for each in found)
                caught[program.kind, column] += hit
                total[program.kind, column] += 1
                if not hit:
                    missed.append((column, program, found))
        if program.form.startswith("correct"):
            found = findings(program, preview=True)
            flagged += [(program, each) for each in found]
    print_table(sorted({program.kind for program in chosen}), caught, total)
    print(f"\ncorrect programs with a finding under --preview: {len({each.name for each, _ in flagged})}")
    for program, each in flagged:
        print(f"  {program.kind}/{program.name} ({program.form}):{each.span.line}: {each.name}: {each.message}")
    if asked.missed:
        print()
        for column, program, found in missed:
            said = "; ".join(f"{each.span.line}: {each.name}" for each in found) or "nothing"
            print(f"missed ({column}): {program.kind}/{program.name}, marked {sorted(program.marked)}, said {said}")


def print_table(kinds, caught, total):
    columns = [column for column, _, _ in COLUMNS]
    print(f"| kind | {' | '.join(columns)} |")
    print(f"| --- |{' --- |' * len(columns)}")
    for kind in kinds:
        print(f"| {kind} | {' | '.join(f'{caught[kind, each]}/{total[kind, each]}' for each in columns)} |")
    sums = [[sum(counts[kind, each] for kind in kinds) for counts in (caught, total)] for each in columns]
    print(f"| all | {' | '.join(f'{some}/{every} ({some / max(every, 1):.0%})' for some, every in sums)} |")


if __name__ == "__main__":
    main()
