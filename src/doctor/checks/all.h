// The checks by topic, one file each; check.cpp puts them in the order of their rows.
#pragma once
#include <span>

#include "doctor/check.h"

namespace hearth::doctor {

std::span<const Check> architecture_checks();
std::span<const Check> driver_checks();
std::span<const Check> toolchain_checks();
std::span<const Check> python_checks();
std::span<const Check> package_checks();
std::span<const Check> container_checks();
std::span<const Check> memory_checks();
std::span<const Check> neighbour_checks();
std::span<const Check> host_checks();
std::span<const Check> power_checks();
std::span<const Check> storage_checks();
std::span<const Check> server_checks();
std::span<const Check> network_checks();
std::span<const Check> cluster_checks();

}  // namespace hearth::doctor
