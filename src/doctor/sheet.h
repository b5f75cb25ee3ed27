// The machine sheet of `hearth info`: who this machine is, where it answers, what it has.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/value.h"
#include "doctor/context.h"

namespace hearth::doctor {

struct SheetModel {
  std::string name;
  int64_t bytes = 0;
};

/// The caller may fill hearth_version and models before; the rest comes from the machine. "" and empty are unknown.
struct Sheet {
  std::string hearth_version;
  std::string host, system, kernel, architecture, cpu, product;
  int cores = 0;
  std::vector<std::string> gpus;        // "NVIDIA GB10: compute capability 12.1, 48 multiprocessors, shares memory"
  std::string driver, cuda;
  int64_t memory_bytes = 0, available_bytes = 0, swap_bytes = 0;
  bool is_unified = false;
  std::vector<std::pair<std::string, std::string>> addresses;  // interface, address
  int port = 0;
  std::vector<std::string> urls;
  std::string models_dir;
  std::vector<SheetModel> models;
  std::vector<std::pair<std::string, std::string>> versions;   // of other programs
};

/// Fills what is empty.
void read_sheet(const Context& context, Sheet& sheet);

/// "spark-1: NVIDIA GB10, 121.7 GiB shared by CPU and GPU, driver 580.95.05".
std::string headline(const Sheet& sheet);
std::string sheet_as_text(const Sheet& sheet);
std::string sheet_as_markdown(const Sheet& sheet);
Value as_value(const Sheet& sheet);

}  // namespace hearth::doctor
