#include "models/load/weight_file.h"

#include <array>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/gguf/gguf.h"
#include "formats/pickle/pickle.h"
#include "formats/safetensors/safetensors.h"

namespace hearth {
namespace {

constexpr size_t kLengthBytes = 8;  // of a safetensors header, before its text

bool ends_with(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

std::string first_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kIo, fmt::format("cannot read {}", path));
  std::array<char, kLengthBytes + 1> bytes{};
  in.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<size_t>(in.gcount())};
}

}  // namespace

TensorFile open_weight_file(const std::string& path) {
  if (ends_with(path, ".json")) return safetensors::open(path);
  const std::string begin = first_bytes(path);
  if (begin.compare(0, 4, "GGUF") == 0) return gguf::open(path);
  if (begin.size() > kLengthBytes && begin[kLengthBytes] == '{') return safetensors::open(path);
  // A zip archive, or a bare pickle of protocol 2 and above.
  if (begin.compare(0, 2, "PK") == 0 || (!begin.empty() && begin[0] == '\x80')) return pickle::open(path);
  for (const char* suffix : {".ckpt", ".pt", ".pth", ".bin"}) {
    if (ends_with(path, suffix)) return pickle::open(path);
  }
  return safetensors::open(path);
}

}  // namespace hearth
