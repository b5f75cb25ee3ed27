// PackedList: tight in memory, and a list like any other to whoever reads it as a Value.
#include "core/base/packed_list.h"

#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/value.h"

namespace hearth {
namespace {

using Type = PackedList::Type;

template <class T>
Value packed(Type type, std::initializer_list<T> items) {
  std::string bytes;
  for (T item : items) bytes.append(reinterpret_cast<const char*>(&item), sizeof(item));
  return Value(PackedList::of_numbers(type, bytes));
}

Value packed_texts() { return Value(PackedList::of_texts("onethree", {3, 3, 8})); }

template <class T>
void expect_extremes(Type type) {
  using Limits = std::numeric_limits<T>;
  Value list = packed<T>(type, {Limits::lowest(), T{0}, Limits::max()});
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(list.as_list()[1].as_int(), 0);
  if constexpr (std::is_floating_point_v<T>) {
    EXPECT_EQ(list.as_list()[0].as_double(), Limits::lowest());
    EXPECT_EQ(list.as_list()[2].as_double(), Limits::max());
  } else if constexpr (std::is_signed_v<T>) {
    EXPECT_EQ(list.as_list()[0].as_int(), Limits::lowest());
    EXPECT_EQ(list.as_list()[2].as_int(), Limits::max());
  } else {
    EXPECT_EQ(list.as_list()[2].as_uint(), Limits::max());
  }
}

TEST(PackedList, KeepsEveryBitOfEveryType) {
  expect_extremes<int8_t>(Type::kInt8);
  expect_extremes<uint8_t>(Type::kUint8);
  expect_extremes<int16_t>(Type::kInt16);
  expect_extremes<uint16_t>(Type::kUint16);
  expect_extremes<int32_t>(Type::kInt32);
  expect_extremes<uint32_t>(Type::kUint32);
  expect_extremes<int64_t>(Type::kInt64);
  expect_extremes<uint64_t>(Type::kUint64);
  expect_extremes<float>(Type::kFloat32);
  expect_extremes<double>(Type::kFloat64);
  EXPECT_EQ(packed<uint8_t>(Type::kBool, {1, 0}), Value(Value::List{true, false}));
}

TEST(PackedList, ReadsAsAList) {
  Value list = packed_texts();
  EXPECT_EQ(list.kind(), Value::Kind::kList);
  EXPECT_EQ(list.kind_name(), "array");
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(list.packed()->text(0), "one");
  EXPECT_EQ(list.packed()->text(1), "");
  EXPECT_EQ((*list.packed())[2].as_string(), "three");
  EXPECT_THROW(list.packed()->text(3), Error);
  EXPECT_EQ(list, Value(Value::List{"one", "", "three"}));
  EXPECT_EQ(Value(Value::List{"one", "", "three"}), list);
  EXPECT_FALSE(list == Value(Value::List{"one", ""}));
  EXPECT_FALSE(list == Value("one"));
}

TEST(PackedList, CopiesShareItUntilOneIsChanged) {
  Value list = packed_texts();
  Value copy = list;
  EXPECT_EQ(copy.packed(), list.packed());
  copy.push("four");
  EXPECT_EQ(copy.packed(), nullptr);
  EXPECT_EQ(copy.as_list().back().as_string(), "four");
  EXPECT_EQ(list.size(), 3u);
}

TEST(PackedList, ThreadsUnpackItOnce) {
  const Value list = packed_texts();
  const Value::List* seen[4] = {};
  std::vector<std::thread> threads;
  for (auto& slot : seen) threads.emplace_back([&] { slot = &list.as_list(); });
  for (std::thread& thread : threads) thread.join();
  for (const Value::List* one : seen) EXPECT_EQ(one, seen[0]);
  EXPECT_EQ((*seen[0])[2].as_string(), "three");
}

}  // namespace
}  // namespace hearth
