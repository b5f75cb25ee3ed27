// The flags of `hearth doctor` and `hearth info`, shared with the small program hearth-doctor, which knows neither the
// configuration nor the model store.
#pragma once
#include <functional>

#include <CLI/CLI.hpp>

#include "doctor/context.h"
#include "doctor/sheet.h"

namespace hearth::app {

/// Asked for when a command runs, so that a broken configuration does not keep --help from working.
struct DoctorDefaults {
  std::function<doctor::Options()> options;
  std::function<doctor::Sheet()> sheet;  // version and models; the rest is read from the machine
};

std::function<int()> add_doctor_flags(CLI::App& app, DoctorDefaults defaults);
std::function<int()> add_info_flags(CLI::App& app, DoctorDefaults defaults);

}  // namespace hearth::app
