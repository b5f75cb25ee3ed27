#include "doctor/report/report.h"

namespace hearth::doctor {
namespace {

Value of_finding(const Finding& finding) {
  const Outcome& outcome = finding.outcome;
  Value evidence = Value::list(), cures = Value::list();
  for (const Evidence& read : outcome.evidence) {
    evidence.push(Value::object({{"where", read.where}, {"what", read.what}}));
  }
  for (const Cure& cure : outcome.cures) {
    cures.push(Value::object({{"command", cure.command}, {"why", cure.why}, {"by_hand", cure.is_by_hand}}));
  }
  return Value::object({{"row", finding.check->row}, {"id", finding.check->id},
                        {"topic", name_of(finding.check->topic)}, {"title", finding.check->title},
                        {"verdict", name_of(outcome.verdict)}, {"cause", outcome.cause},
                        {"evidence", std::move(evidence)}, {"cures", std::move(cures)}});
}

}  // namespace

Value as_value(const Report& report) {
  Value findings = Value::list(), programs = Value::list(), settings = Value::list();
  Value counts = Value::object();
  for (Verdict verdict : {Verdict::kFailure, Verdict::kWarning, Verdict::kNote, Verdict::kUnknown, Verdict::kOk}) {
    counts.set(name_of(verdict), 0);
  }
  for (const Finding& finding : report.findings) {
    const std::string_view name = name_of(finding.outcome.verdict);
    counts.set(name, counts.at(name).as_int() + 1);
    findings.push(of_finding(finding));
  }
  for (const Program& program : report.programs) {
    programs.push(Value::object({{"name", program.name}, {"version", program.version}, {"place", program.place},
                                 {"runs_on_sm_121", name_of(program.runs)}, {"why", program.why},
                                 {"cure", program.cure}}));
  }
  for (const Setting& setting : report.settings) {
    settings.push(Value::object({{"name", setting.name}, {"now", setting.now}, {"for", setting.in_favour},
                                 {"against", setting.against}, {"advice", setting.advice}}));
  }
  return Value::object({{"exit_code", exit_code(report.findings)}, {"counts", std::move(counts)},
                        {"machine", as_value(report.sheet)}, {"findings", std::move(findings)},
                        {"programs", std::move(programs)}, {"settings", std::move(settings)}});
}

Value matches_as_value(const std::vector<Match>& matches) {
  Value list = Value::list();
  for (const Match& match : matches) {
    const KnownError& error = *match.error;
    Value cures = Value::list(), rows = Value::list();
    for (const KnownCure& cure : error.cures) {
      cures.push(Value::object({{"command", cure.command}, {"text", cure.text}, {"when", cure.when}}));
    }
    for (int row : error.rows) rows.push(row);
    list.push(Value::object({{"id", error.id}, {"title", error.title}, {"line", match.line}, {"score", match.score},
                             {"cause", error.cause}, {"versions", error.versions}, {"cures", std::move(cures)},
                             {"evidence", error.evidence}, {"source", error.source}, {"rows", std::move(rows)}}));
  }
  return Value::object({{"matches", std::move(list)}});
}

}  // namespace hearth::doctor
