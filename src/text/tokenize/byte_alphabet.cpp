#include "text/tokenize/byte_alphabet.h"

#include <array>

#include "text/unicode.h"

namespace hearth::text {
namespace {

struct Tables {
  std::array<std::array<char, 2>, 256> spelling{};
  std::array<unsigned char, 256> bytes{};  // characters of one (the byte itself) or two bytes
  std::array<int, 0x200> byte_of{};        // by code point; -1 outside the alphabet
};

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Tables make_tables() {
  Tables tables;
  for (int& byte : tables.byte_of) byte = -1;
  int next = 0x100;  // bytes that do not print are numbered upwards from here
  for (int byte = 0; byte < 256; ++byte) {
    int code = is_printable(byte) ? byte : next++;
    auto index = static_cast<size_t>(byte);
    tables.byte_of[static_cast<size_t>(code)] = byte;
    tables.bytes[index] = code < 0x80 ? 1 : 2;
    if (code < 0x80) {
      tables.spelling[index] = {static_cast<char>(code), 0};
    } else {
      tables.spelling[index] = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

void append_byte_alphabet(std::string& out, std::string_view bytes) {
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    out.append(kTables.spelling[byte].data(), kTables.bytes[byte]);
  }
}

std::optional<std::string> from_byte_alphabet(std::string_view spelling) {
  std::string out;
  out.reserve(spelling.size());
  while (!spelling.empty()) {
    CodePoint c = first_code_point(spelling);
    if (c.bytes == 0 || c.value >= kTables.byte_of.size() || kTables.byte_of[c.value] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kTables.byte_of[c.value]));
    spelling.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace hearth::text
