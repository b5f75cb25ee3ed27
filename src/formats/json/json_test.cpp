// JSON <-> Value: equal keys, and that wide texts cost in proportion to their length.
#include "formats/json/json.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <time.h>

namespace hearth::json {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The quickest of three runs, in processor time, which other programs do not disturb.
template <class Work>
double cost(Work work) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    double start = thread_seconds();
    work();
    best = std::min(best, thread_seconds() - start);
  }
  return best;
}

std::string wide(int members, int distinct) {
  std::string text = "{";
  for (int i = 0; i < members; ++i) text += fmt::format("\"key{}\":{},", i % distinct, i);
  text.back() = '}';
  return text;
}

TEST(Json, OfEqualKeysTheFirstPlaceAndTheLastValueStay) {
  Value v = parse(R"({"a":1,"b":2,"a":3})").value();
  ASSERT_EQ(v.size(), 2u);
  EXPECT_EQ(write(v), R"({"a":3,"b":2})");
  Value many = parse(wide(1000, 100)).value();
  ASSERT_EQ(many.size(), 100u);
  EXPECT_EQ(many.as_object()[7].first, "key7");
  EXPECT_EQ(many.at("key7").as_int(), 907);
}

// Four times the members may cost four times as much, not sixteen times; nine leaves room for caches.
TEST(Json, WideObjectsCostInProportion) {
  for (int repeats : {1, 2}) {
    std::string small = wide(15000, 15000 / repeats), large = wide(60000, 60000 / repeats);
    EXPECT_LT(cost([&] { parse(large).value(); }), 9 * cost([&] { parse(small).value(); }));
  }
}

TEST(Json, WritingWideObjectsCostsInProportion) {
  Value small = parse(wide(15000, 15000)).value(), large = parse(wide(60000, 60000)).value();
  EXPECT_LT(cost([&] { write(large); }), 9 * cost([&] { write(small); }));
}

TEST(Json, DepthIsBounded) {
  std::string deep = std::string(1'000'000, '[');
  auto refused = parse(deep);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("nested deeper than 128"), std::string::npos);
  EXPECT_TRUE(parse(std::string(128, '[') + std::string(128, ']')));
}

}  // namespace
}  // namespace hearth::json
