#include "fetch/sha256.h"

#include <array>
#include <cstdio>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "core/base/check.h"
#include "core/base/files.h"

namespace hearth::fetch {
namespace {

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

std::string to_hex(const unsigned char* bytes, size_t size) {
  std::string hex;
  for (size_t i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

int base64url_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

}  // namespace

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(as_context(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr && EVP_DigestInit_ex(as_context(context_.get()), EVP_sha256(), nullptr) == 1,
        "SHA-256 is available in libcrypto");
}

void Sha256::add(const void* bytes, size_t size) { EVP_DigestUpdate(as_context(context_.get()), bytes, size); }

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(as_context(context_.get()), digest.data(), &size);
  EVP_DigestInit_ex(as_context(context_.get()), EVP_sha256(), nullptr);
  return to_hex(digest.data(), size);
}

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  auto file = InFile::open(path);
  if (!file) return unexpected(file.error());
  Sha256 hash;
  std::vector<char> block(size_t{1} << 20);
  for (;;) {
    auto got = file->read(block.data(), block.size());
    if (!got) return unexpected(got.error());
    if (*got == 0) return hash.finish();
    hash.add(block.data(), *got);
  }
}

Result<std::string> parse_sha256(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with("sha256:")) digits.remove_prefix(7);
  std::string hex;
  for (char c : digits) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!is_hex) hex.clear();
    if (!is_hex) break;
    hex += c;
  }
  if (hex.size() != 64) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'{}' is not a SHA-256 digest; expected 64 hexadecimal digits", text));
  }
  return hex;
}

std::string sha256_from_record(std::string_view field) {
  constexpr std::string_view kPrefix = "sha256=";
  if (!field.starts_with(kPrefix)) return "";
  field.remove_prefix(kPrefix.size());
  std::vector<unsigned char> bytes;
  unsigned int bits = 0;
  int held = 0;
  for (char c : field) {
    int digit = base64url_digit(c);
    if (digit < 0) return "";
    bits = bits << 6 | static_cast<unsigned int>(digit);
    held += 6;
    if (held >= 8) bytes.push_back(static_cast<unsigned char>(bits >> (held -= 8)));
  }
  return bytes.size() == 32 ? to_hex(bytes.data(), bytes.size()) : "";
}

}  // namespace hearth::fetch
