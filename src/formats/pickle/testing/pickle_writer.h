// Writes pickles opcode by opcode for tests, true or false ones; the opcodes are named as in Python's pickletools.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::pickle::testing {

inline std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xff);
  return out;
}

inline std::string protocol(int n = 2) { return std::string("\x80") + static_cast<char>(n); }
inline std::string text(std::string_view s) { return "X" + little(s.size(), 4) + std::string(s); }
inline std::string integer(int32_t n) { return "J" + little(static_cast<uint32_t>(n), 4); }
inline std::string long_integer(int64_t n) { return "\x8a\x08" + little(static_cast<uint64_t>(n), 8); }
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}
/// Keys and values in turn.
inline std::string dict(const std::vector<std::string>& pairs) {
  std::string out = "}(";
  for (const std::string& item : pairs) out += item;
  return out + "u";
}
inline std::string reduce(const std::string& function, const std::string& arguments) {
  return function + arguments + "R";
}
inline std::string sizes(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (int64_t value : values) items.push_back(long_integer(value));
  return tuple(items);
}
inline std::string storage(std::string_view key, int64_t elements, std::string_view kind = "FloatStorage") {
  return tuple({text("storage"), global("torch", kind), text(key), text("cpu"), long_integer(elements)}) + "Q";
}

struct MadeTensor {
  std::string from;  // a storage
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;
};
inline std::string tensor(const MadeTensor& t) {
  return reduce(global("torch._utils", "_rebuild_tensor_v2"),
                tuple({t.from, long_integer(t.offset), sizes(t.shape), sizes(t.strides), "\x89", "}"}));
}

}  // namespace hearth::pickle::testing
