"""What the rules find in released packages: the counts on the rules' pages, and samples to judge by reading.

    python benchmarks/corpus.py DIR...                     counts, for docs/rules/found.csv
    python benchmarks/corpus.py DIR... --sample RULE       30 findings of a rule, in a random order that stays the same

Each DIR holds packages as they are unpacked from the package index. docs/found.md names those that the pages speak of.
"""

import argparse
import csv
import random
import sys
from collections import Counter

from shapeguard.catalog import CODES
from shapeguard.check import check_paths
from shapeguard.config import Config
from shapeguard.kinds import KINDS

SAMPLE = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="DIR")
    parser.add_argument("--sample", metavar="RULE")
    chosen = parser.parse_args()
    rules = [each.code for each in CODES if each not in KINDS or each.code.startswith("SG7")]
    select = (chosen.sample,) if chosen.sample else tuple(rules)
    outcome = check_paths(chosen.folders, Config(select=select, preview=True))
    found = [each for each in outcome.diagnostics if each.code in rules]
    if chosen.sample:
        random.Random(0).shuffle(found)  # noqa: S311 - any order will do
        for each in found[:SAMPLE]:
            print(f"{each.path}:{each.span.line}: {'(preview) ' if each.preview else ''}{each.message}")
        return 0
    always = {each.code for each in CODES if each.preview}
    counts = Counter((each.code, each.preview or each.code in always) for each in found)
    written = csv.writer(sys.stdout, lineterminator="\n")
    written.writerow(["code", "preview", "findings"])
    written.writerows([code, "yes" if preview else "no", number] for (code, preview), number in sorted(counts.items()))
    print(f"{outcome.files:,} files", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
