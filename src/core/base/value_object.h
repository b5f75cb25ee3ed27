// ValueObject: the members of an object Value, in insertion order, each name once. Few members are searched one by one;
// beyond kIndexedFrom a hash table of positions makes find() and set() take constant time, whoever chose the names: the
// hash is keyed anew in every process. Only set() touches the table, so reading from several threads is fine.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth {

class Value;

class ValueObject {
 public:
  using Member = std::pair<std::string, Value>;
  using iterator = std::vector<Member>::iterator;
  using const_iterator = std::vector<Member>::const_iterator;
  static constexpr size_t kIndexedFrom = 17;

  ValueObject() noexcept;
  ValueObject(std::initializer_list<Member> members);
  ValueObject(const ValueObject& other);
  ValueObject(ValueObject&& other) noexcept;
  ValueObject& operator=(const ValueObject& other);
  ValueObject& operator=(ValueObject&& other) noexcept;
  ~ValueObject();

  size_t size() const;
  bool empty() const { return size() == 0; }
  void reserve(size_t members);

  /// Values may be changed through these, names may not.
  iterator begin();
  iterator end();
  const_iterator begin() const;
  const_iterator end() const;
  Member& operator[](size_t position);
  const Member& operator[](size_t position) const;

  /// nullptr when there is no such member. Borrowed until the next set().
  Value* find(std::string_view name);
  const Value* find(std::string_view name) const;
  /// Appends a member, or replaces the value of the one with that name, which keeps its place.
  Value& set(std::string_view name, Value value);
  Value& set(std::string&& name, Value value);

  friend bool operator==(const ValueObject& a, const ValueObject& b);

 private:
  class Index;

  template <class Name>
  Value& put(Name&& name, Value value);
  size_t position_of(std::string_view name) const;  // size() when absent
  void index_last();

  std::vector<Member> members_;
  std::unique_ptr<Index> index_;  // null below kIndexedFrom members
};

}  // namespace hearth
