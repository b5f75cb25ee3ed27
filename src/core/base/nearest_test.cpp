// The nearest name: typing slips are found, strangers are not.
#include "core/base/nearest.h"

#include <vector>

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("port", "port"), 0);
  EXPECT_EQ(edit_distance("prot", "port"), 1);  // neighbours swapped
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("HOST", "host"), 0);
}

TEST(Nearest, SuggestsSlipsOnly) {
  std::vector<std::string> names = {"host", "port", "api_key", "max_connections"};
  EXPECT_EQ(nearest_name("prot", names), "port");
  EXPECT_EQ(nearest_name("apikey", names), "api_key");
  EXPECT_EQ(nearest_name("max_conections", names), "max_connections");
  EXPECT_EQ(nearest_name("colour", names), "");
  EXPECT_EQ(nearest_name("x", names), "");
}

}  // namespace
}  // namespace hearth
