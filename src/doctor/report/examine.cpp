#include <utility>

#include "doctor/report/report.h"

namespace hearth::doctor {

Report examine(const Context& context, std::span<const std::string> only, Sheet sheet) {
  read_sheet(context, sheet);
  return {.sheet = std::move(sheet), .findings = run_checks(context, only), .programs = find_programs(context),
          .settings = read_settings(context)};
}

}  // namespace hearth::doctor
