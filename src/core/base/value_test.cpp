// Value: exact integers, insertion order, clear errors.
#include "core/base/value.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <time.h>

namespace hearth {
namespace {

TEST(Value, KeepsEveryBitOfASeed) {
  Value seed(UINT64_MAX);
  EXPECT_EQ(seed.kind(), Value::Kind::kUint);
  EXPECT_EQ(seed.as_uint(), UINT64_MAX);
  EXPECT_THROW(seed.as_int(), Error);
  EXPECT_EQ(Value(uint64_t{7}).kind(), Value::Kind::kInt);
}

TEST(Value, ObjectsKeepInsertionOrderAndReplaceInPlace) {
  Value v;
  v.set("z", 1);
  v.set("a", 2);
  v.set("z", 3);
  ASSERT_EQ(v.size(), 2u);
  EXPECT_EQ(v.as_object()[0].first, "z");
  EXPECT_EQ(v.at("z").as_int(), 3);
}

Value numbered(int members) {
  Value v;
  for (int i = 0; i < members; ++i) v.set("key " + std::to_string(i), i);
  return v;
}

TEST(Value, WideObjectsFindEveryMember) {
  constexpr int kMembers = 100'000;
  Value v = numbered(kMembers);
  ASSERT_EQ(v.size(), static_cast<size_t>(kMembers));
  for (int i = 0; i < kMembers; ++i) {
    const Value* found = v.find("key " + std::to_string(i));
    ASSERT_NE(found, nullptr) << i;
    ASSERT_EQ(found->as_int(), i);
    ASSERT_EQ(v.as_object()[static_cast<size_t>(i)].first, "key " + std::to_string(i));
  }
  EXPECT_EQ(v.find("key 100000"), nullptr);
  EXPECT_EQ(v.find(""), nullptr);
  v.set("key 5", "replaced");
  EXPECT_EQ(v.size(), static_cast<size_t>(kMembers));
  EXPECT_EQ(v.as_object()[5].second.as_string(), "replaced");
}

TEST(Value, CopiesOfWideObjectsAreTheirOwn) {
  Value original = numbered(40);
  Value copy = original;
  EXPECT_EQ(copy, original);
  copy.set("only here", 1);
  EXPECT_EQ(original.find("only here"), nullptr);
  Value moved = std::move(copy);
  EXPECT_EQ(moved.at("only here").as_int(), 1);
  EXPECT_EQ(moved.at("key 39").as_int(), 39);
  moved = original;
  EXPECT_EQ(moved.find("only here"), nullptr);
  EXPECT_EQ(moved.at("key 20").as_int(), 20);
}

double seconds_to_build(int members) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    auto now = [] {
      timespec time{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    };
    double start = now();
    EXPECT_EQ(numbered(members).size(), static_cast<size_t>(members));
    best = std::min(best, now() - start);
  }
  return best;
}

// Four times the members may cost four times as much, not sixteen times; nine leaves room for caches.
TEST(Value, WideObjectsCostInProportion) { EXPECT_LT(seconds_to_build(40000), 9 * seconds_to_build(10000)); }

TEST(Value, SmallObjectsPayNothingForLargeOnes) {
  EXPECT_EQ(sizeof(Value), sizeof(std::string) + 8);
  EXPECT_EQ(sizeof(Value::Object), sizeof(std::vector<Value>) + sizeof(void*));
}

TEST(Value, NamesInAListOfMembersAreUnique) {
  Value v = Value::object({{"a", 1}, {"b", 2}, {"a", 3}});
  ASSERT_EQ(v.size(), 2u);
  EXPECT_EQ(v.as_object()[0].second.as_int(), 3);
}

TEST(Value, WrongKindNamesBoth) {
  try {
    Value("text").as_int();
    FAIL() << "as_int accepted a string";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "expected integer, got string");
  }
}

}  // namespace
}  // namespace hearth
