// What `hearth doctor` and `hearth info` know from the configuration and the model store.
#pragma once
#include "commands.h"
#include "doctor_flags.h"

namespace hearth::app {

/// `common` outlives the functions in it.
DoctorDefaults configured_defaults(Common& common);

}  // namespace hearth::app
