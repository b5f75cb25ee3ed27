// docs/api.md holds the field tables exactly as the code renders them. HEARTH_UPDATE_DOCS=1 writes them anew.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "api/openai/images.h"
#include "api/openai/request.h"

namespace hearth::openai {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What lies between "<!-- begin NAME -->" and "<!-- end NAME -->" replaced by `table`.
std::string with_table(const std::string& page, const std::string& name, const std::string& table) {
  std::string begin = "<!-- begin " + name + " -->\n", end = "<!-- end " + name + " -->";
  size_t from = page.find(begin), to = page.find(end);
  EXPECT_NE(from, std::string::npos) << begin;
  EXPECT_NE(to, std::string::npos) << end;
  if (from == std::string::npos || to == std::string::npos) return page;
  return page.substr(0, from + begin.size()) + table + page.substr(to);
}

TEST(ApiDocs, FieldTablesAreTheOnesInTheCode) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR names the source tree; ctest sets it";
  std::string path = std::string(root) + "/docs/api.md";
  std::string page = read_file(path);
  std::string wanted = with_table(page, "chat fields", render_fields(Endpoint::kChat));
  wanted = with_table(wanted, "completion fields", render_fields(Endpoint::kCompletion));
  wanted = with_table(wanted, "image fields", render_image_fields());
  if (std::getenv("HEARTH_UPDATE_DOCS")) std::ofstream(path) << wanted;
  EXPECT_TRUE(page == wanted || std::getenv("HEARTH_UPDATE_DOCS"))
      << "docs/api.md is out of date: run api_test with HEARTH_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace hearth::openai
