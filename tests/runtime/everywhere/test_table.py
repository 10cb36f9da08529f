"""docs/compatibility.md tells what the cases of this folder are; each of them compares its own outcome with it."""


def test_the_table_has_every_case_and_no_other(tables):
    cases, committed = tables
    assert list(committed) == cases
    assert len(set(cases)) == len(cases)


def test_the_guard_works_in_every_case(tables):
    _, committed = tables
    assert {case: row["guard"] for case, row in committed.items() if row["guard"] != "works"} == {}
