// Value: exact integers, insertion order, clear errors.
#include "core/base/value.h"

#include <gtest/gtest.h>

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
