#include "server/web/page.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace hearth::server {
namespace {

/// Keeps a whole answer.
class KeptAnswer : public http::ResponseWriter {
 public:
  void respond(http::HttpResponse response) override { answer = std::move(response); }
  void start_stream(http::HttpResponse) override {}
  void write(std::string) override {}
  void finish() override {}
  size_t unsent_bytes() const override { return 0; }
  bool is_aborted() const override { return false; }
  void on_abort(std::function<void(http::AbortReason)>) override {}
  void on_silence(std::function<void()>) override {}
  void post(std::function<void()> work) override { work(); }

  http::HttpResponse answer;
};

http::HttpResponse get(const std::string& path, http::Headers headers = {}, bool has_frontend = false) {
  auto routes = page_routes(has_frontend);
  auto route = std::find_if(routes.begin(), routes.end(), [&](const auto& each) { return each.pattern == path; });
  if (route == routes.end()) return {.status = 404};
  EXPECT_TRUE(route->is_open) << path;
  http::HttpRequest request;
  request.headers = std::move(headers);
  auto writer = std::make_shared<KeptAnswer>();
  route->handler(request, writer);
  return writer->answer;
}

TEST(Page, EveryFileItNamesIsServedWithItsType) {
  const http::HttpResponse page = get("/");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_NE(page.body.find("<title>Hearth</title>"), std::string::npos);
  EXPECT_NE(page.body.find("/v1/chat/completions"), std::string::npos);
  const std::pair<const char*, const char*> files[] = {{"/hearth/app.js", "text/javascript; charset=utf-8"},
                                                       {"/hearth/style.css", "text/css; charset=utf-8"},
                                                       {"/favicon.ico", "image/svg+xml"}};
  for (auto [path, type] : files) {
    EXPECT_NE(page.body.find('"' + std::string(path) + '"'), std::string::npos) << path;
    EXPECT_EQ(get(path).content_type, type);
    EXPECT_GT(get(path).body.size(), 100u) << path;
  }
  EXPECT_EQ(get("/hearth").body, page.body);
}

TEST(Page, ThePolicyAllowsOnlyThisServerAndNothingInline) {
  const std::string policy(http::find_header(get("/").headers, "Content-Security-Policy"));
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("connect-src 'self' ws: wss:"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http:"), std::string::npos);
}

TEST(Page, AnUnchangedFileIsNotSentAgain) {
  const http::HttpResponse first = get("/hearth/app.js");
  const std::string tag(http::find_header(first.headers, "ETag"));
  ASSERT_GT(tag.size(), 2u);
  EXPECT_NE(tag, http::find_header(get("/hearth/style.css").headers, "ETag"));
  const http::HttpResponse again = get("/hearth/app.js", {{"If-None-Match", "\"other\", " + tag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(get("/hearth/app.js", {{"If-None-Match", "\"other\""}}).status, 200);
}

TEST(Page, AnotherFrontendTakesTheRootAndThePageStaysAtItsOwnPath) {
  EXPECT_EQ(get("/", {}, true).status, 404);
  EXPECT_EQ(get("/hearth", {}, true).status, 200);
}

}  // namespace
}  // namespace hearth::server
