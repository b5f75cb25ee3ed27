"""The closing count of ./test: real cases, crashed programs and torn reports."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import count_tests  # noqa: E402


def write(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def case(name, inside="", status="run"):
    return f'<testcase classname="S" name="{name}" status="{status}">{inside}</testcase>'


def suite(*cases):
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def test_cases_of_programs_and_pytest_are_added(tmp_path, capsys):
    write(tmp_path, "gtest/core_test.xml", suite(case("a"), case("b"), case("c", status="notrun")))
    write(tmp_path, "ctest.xml", f'<testsuite>{case("core")}{case("smoke")}</testsuite>')
    write(tmp_path, "pytest.xml", suite(case("d"), case("e", "<skipped/>")))
    assert count_tests.main([tmp_path]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4 passed, 0 failed, 2 skipped"


def test_a_failed_case_counts_once(tmp_path, capsys):
    write(tmp_path, "gtest/core_test.xml", suite(case("a"), case("b", "<failure/>")))
    write(tmp_path, "ctest.xml", f'<testsuite>{case("core", "<failure/>", "fail")}</testsuite>')
    assert count_tests.main([tmp_path]) == 1
    assert capsys.readouterr().out.splitlines() == ["FAILED S.b", "1 passed, 1 failed"]


def test_a_crashed_program_is_a_failure(tmp_path, capsys):
    write(tmp_path, "gtest/text_test.xml", suite(case("a")))
    write(tmp_path, "ctest.xml", f'<testsuite>{case("core", status="fail")}{case("text")}</testsuite>')
    assert count_tests.main([tmp_path]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_a_torn_report_and_an_empty_run_fail(tmp_path, capsys):
    assert count_tests.main([tmp_path]) == 1
    write(tmp_path, "gtest/core_test.xml", "<testsuites><testsuite>")
    assert count_tests.main([tmp_path]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"
