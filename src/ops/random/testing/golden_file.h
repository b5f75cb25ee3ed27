// Reads tests/golden/sampling/NAME.safetensors for tests: tensors by name as numbers.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "formats/safetensors/safetensors.h"

namespace hearth {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name) {
    const char* source = std::getenv("HEARTH_SOURCE_DIR");
    path_ = std::string(source ? source : ".") + "/tests/golden/sampling/" + name + ".safetensors";
    file_ = safetensors::open(path_);
    std::ifstream in(path_, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
  }
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  const std::vector<TensorInfo>& tensors() const { return file_.tensors; }
  const Value& metadata() const { return file_.metadata; }
  const std::vector<int64_t>& shape(const std::string& name) const { return info(name).shape; }
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const TensorInfo& at = info(name);
    std::vector<T> values(static_cast<size_t>(at.bytes) / sizeof(T));
    if (at.bytes > 0) std::memcpy(values.data(), bytes_.data() + at.offset, static_cast<size_t>(at.bytes));
    return values;
  }
  std::vector<float> floats(const std::string& name) const { return read<float>(name); }

 private:
  const TensorInfo& info(const std::string& name) const {
    const TensorInfo* found = file_.find(name);
    if (!found) throw Error(Code::kNotFound, path_ + " has no " + name);
    return *found;
  }
  std::string path_, bytes_;
  TensorFile file_;
};

}  // namespace hearth
