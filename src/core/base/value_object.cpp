#include "core/base/value_object.h"

#include <cstdint>
#include <cstring>
#include <random>

#include "core/base/check.h"
#include "core/base/value.h"

namespace hearth {
namespace {

// Multiplies 64 by 64 bits and folds the halves, as wyhash and its kin do.
uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// std::hash has the same key everywhere, so a client could send names that all collide.
uint64_t hash_of(std::string_view name) {
  static const uint64_t kKey = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  uint64_t state = kKey ^ name.size();
  for (; name.size() >= 8; name.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, name.data(), 8);
    state = mix(state ^ word, kKey | 1);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, name.data(), name.size());
  return mix(state ^ rest, 0x9e3779b97f4a7c15u ^ kKey);
}

}  // namespace

// Open addressing over positions plus one; zero is free. At most half of the places are taken.
class ValueObject::Index {
 public:
  explicit Index(size_t members) { grow_for(members); }

  bool holds_another() const { return taken_ < places_.size() / 2; }

  template <class IsIt>
  size_t find(std::string_view name, size_t absent, IsIt is_it) const {
    for (size_t at = start(name);; at = (at + 1) & (places_.size() - 1)) {
      if (places_[at] == 0) return absent;
      if (is_it(places_[at] - 1)) return places_[at] - 1;
    }
  }
  /// The name must not be in the table.
  void add(std::string_view name, size_t position) {
    check(position < UINT32_MAX - 1, "an object of 2^32 members");
    size_t at = start(name);
    while (places_[at] != 0) at = (at + 1) & (places_.size() - 1);
    places_[at] = static_cast<uint32_t>(position + 1);
    ++taken_;
  }

 private:
  void grow_for(size_t members) {
    size_t places = 64;
    while (places < members * 2) places *= 2;
    places_.assign(places, 0);
  }
  size_t start(std::string_view name) const { return hash_of(name) & (places_.size() - 1); }

  std::vector<uint32_t> places_;
  size_t taken_ = 0;
};

ValueObject::ValueObject() noexcept = default;
ValueObject::ValueObject(ValueObject&& other) noexcept = default;
ValueObject& ValueObject::operator=(ValueObject&& other) noexcept = default;
ValueObject::~ValueObject() = default;

ValueObject::ValueObject(std::initializer_list<Member> members) {
  reserve(members.size());
  for (const Member& member : members) set(member.first, member.second);
}

ValueObject::ValueObject(const ValueObject& other)
    : members_(other.members_), index_(other.index_ ? std::make_unique<Index>(*other.index_) : nullptr) {}

ValueObject& ValueObject::operator=(const ValueObject& other) {
  ValueObject copy = other;
  return *this = std::move(copy);
}

size_t ValueObject::size() const { return members_.size(); }
void ValueObject::reserve(size_t members) { members_.reserve(members); }
ValueObject::iterator ValueObject::begin() { return members_.begin(); }
ValueObject::iterator ValueObject::end() { return members_.end(); }
ValueObject::const_iterator ValueObject::begin() const { return members_.begin(); }
ValueObject::const_iterator ValueObject::end() const { return members_.end(); }
ValueObject::Member& ValueObject::operator[](size_t position) { return members_[position]; }
const ValueObject::Member& ValueObject::operator[](size_t position) const { return members_[position]; }

const Value* ValueObject::find(std::string_view name) const {
  size_t position = position_of(name);
  return position < members_.size() ? &members_[position].second : nullptr;
}

Value* ValueObject::find(std::string_view name) { return const_cast<Value*>(std::as_const(*this).find(name)); }

Value& ValueObject::set(std::string_view name, Value value) { return put(name, std::move(value)); }
Value& ValueObject::set(std::string&& name, Value value) { return put(std::move(name), std::move(value)); }

template <class Name>
Value& ValueObject::put(Name&& name, Value value) {
  if (size_t position = position_of(name); position < members_.size()) {
    return members_[position].second = std::move(value);
  }
  members_.emplace_back(std::string(std::forward<Name>(name)), std::move(value));
  index_last();
  return members_.back().second;
}

size_t ValueObject::position_of(std::string_view name) const {
  auto is_it = [&](size_t position) { return members_[position].first == name; };
  if (index_) return index_->find(name, members_.size(), is_it);
  size_t position = 0;
  while (position < members_.size() && !is_it(position)) ++position;
  return position;
}

void ValueObject::index_last() {
  if (members_.size() < kIndexedFrom) return;
  if (index_ && index_->holds_another()) return index_->add(members_.back().first, members_.size() - 1);
  index_ = std::make_unique<Index>(members_.size() * 2);
  for (size_t i = 0; i < members_.size(); ++i) index_->add(members_[i].first, i);
}

bool operator==(const ValueObject& a, const ValueObject& b) { return a.members_ == b.members_; }

}  // namespace hearth
