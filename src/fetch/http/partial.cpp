#include "fetch/http/partial.h"

#include <vector>

#include <fmt/format.h>

#include "core/base/units.h"
#include "formats/json/json.h"

namespace hearth::fetch {
namespace {

fs::path part_of(const fs::path& target) { return target.string() + ".part"; }
fs::path facts_of(const fs::path& target) { return target.string() + ".part.json"; }

}  // namespace

Result<Partial> Partial::open(const fs::path& target, const std::string& url) {
  auto file = OutFile::open(part_of(target), OutFile::Start::kAtEnd);
  if (!file) return unexpected(file.error());
  Partial partial(target, url, *std::move(file));
  auto fits = partial.adopt();
  if (!fits) return unexpected(fits.error());
  if (*fits) return partial;
  partial.hash_.finish();
  partial.etag_.clear();
  partial.total_ = -1;
  if (auto emptied = partial.file_.restart(); !emptied) return unexpected(emptied.error());
  return partial;
}

// Whether the bytes and the facts left by an earlier attempt belong to this address; hashes the bytes if so.
Result<bool> Partial::adopt() {
  auto text = read_text(facts_of(target_), MiB);
  auto facts = text ? json::parse(*text) : Result<Value>(unexpected(text.error()));
  if (!facts || file_.size() == 0) return false;
  const Value *url = facts->find("url"), *etag = facts->find("etag"), *total = facts->find("size");
  bool is_sound = url && url->is_string() && etag && etag->is_string() && total && total->is_integer();
  if (!is_sound || url->as_string() != url_) return false;
  etag_ = etag->as_string();
  total_ = total->as_int();
  if (total_ >= 0 && file_.size() > total_) return false;
  auto bytes = InFile::open(part_of(target_));
  if (!bytes) return unexpected(bytes.error());
  std::vector<char> block(static_cast<size_t>(MiB));
  for (;;) {
    auto got = bytes->read(block.data(), block.size());
    if (!got) return unexpected(got.error());
    if (*got == 0) break;
    hash_.add(block.data(), *got);
  }
  was_found_ = true;
  return true;
}

Result<void> Partial::restart(std::string etag, int64_t total) {
  if (auto emptied = file_.restart(); !emptied) return emptied;
  hash_.finish();
  etag_ = std::move(etag);
  total_ = total;
  was_found_ = false;
  Value facts = Value::object({{"url", url_}, {"etag", etag_}, {"size", total_}});
  return write_text(facts_of(target_), json::write(facts, {.indent = 2}) + "\n");
}

Result<void> Partial::write(const char* bytes, size_t size) {
  int64_t before = file_.size();
  auto written = file_.write(bytes, size);
  hash_.add(bytes, static_cast<size_t>(file_.size() - before));
  return written;
}

Result<std::string> Partial::commit(const std::string& sha256) {
  std::string digest = hash_.finish();
  if (!sha256.empty() && digest != sha256) {
    remove();
    return unexpected(Code::kCorruptFile, fmt::format("{} has SHA-256 {}, expected {}; what arrived was thrown away",
                                                      target_.filename().string(), digest, sha256));
  }
  if (auto kept = file_.finish(); !kept) return unexpected(kept.error());
  if (auto moved = rename_durably(part_of(target_), target_); !moved) return unexpected(moved.error());
  std::error_code ignored;
  fs::remove(facts_of(target_), ignored);
  return digest;
}

void Partial::remove() {
  std::error_code ignored;
  fs::remove(part_of(target_), ignored);
  fs::remove(facts_of(target_), ignored);
}

}  // namespace hearth::fetch
