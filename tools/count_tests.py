#!/usr/bin/env python3
"""Adds up JUnit XML files: count_tests.py DIRECTORY... The last line is `N passed, N failed, N skipped`.

DIRECTORY/gtest/*.xml come from the test programs (each test case counts), DIRECTORY/ctest.xml from ctest (one test a
program) and DIRECTORY/pytest*.xml from pytest. A program that ctest calls failed without a failing case in its own
report crashed: it counts as one failure. Exits 1 when anything failed or nothing passed.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def cases(path):
    """(name, "passed" | "failed" | "skipped") of each test case of a report; a torn report is one failure."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return [(path.stem, "failed")]
    found = []
    for case in root.iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        bad = case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
        skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
        found.append((name, "failed" if bad else "skipped" if skipped else "passed"))
    return found


def collect(directory):
    results = []
    by_program = {}
    for path in sorted(directory.glob("gtest/*.xml")):
        by_program[path.stem] = cases(path)
        results += by_program[path.stem]
    gtest_failed = {program for program, found in by_program.items() if any(state == "failed" for _, state in found)}
    ctest = directory / "ctest.xml"
    for name, state in cases(ctest) if ctest.exists() else []:
        test = name.split(".")[-1]
        known = {f"{test}_test", test} & set(by_program)
        if state == "failed" and not known & gtest_failed:
            results.append((f"program {test}", "failed"))
        elif not known:
            results.append((f"program {test}", state))
    for path in sorted(directory.glob("pytest*.xml")):
        results += cases(path)
    return results


def main(directories):
    results = [result for directory in directories for result in collect(pathlib.Path(directory))]
    count = {state: sum(1 for _, s in results if s == state) for state in ("passed", "failed", "skipped")}
    for name, state in results:
        if state == "failed":
            print(f"FAILED {name}")
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 0 if count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1:]))
