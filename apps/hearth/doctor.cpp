// hearth doctor: what is wrong with this machine, and what mends it.
#include "commands.h"
#include "doctor_defaults.h"

namespace hearth::app {

Action add_doctor(CLI::App& app, Common& common) { return add_doctor_flags(app, configured_defaults(common)); }

}  // namespace hearth::app
