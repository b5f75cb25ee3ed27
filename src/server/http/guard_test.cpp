// Guards and routes as tables of headers.
#include "server/http/guard.h"

#include <set>

#include <gtest/gtest.h>

#include "server/http/router.h"
#include "server/http/wire.h"

namespace hearth::http {
namespace {

TEST(Guard, HostNamesLoseTheirPort) {
  EXPECT_EQ(host_name("LocalHost:8188"), "localhost");
  EXPECT_EQ(host_name("[::1]:8188"), "::1");
  EXPECT_EQ(host_name("[::1]"), "::1");
  EXPECT_EQ(host_name("a.example"), "a.example");
  EXPECT_EQ(host_name("[broken"), "broken");
}

TEST(Guard, LoopbackAnswersToItsOwnNames) {
  ServerOptions options;
  options.allowed_hosts = {"Box.local"};
  Headers none;
  auto status = [&](std::string_view host, bool is_loopback = true) {
    auto refused = refuse_host({"GET", "/", host, &none, is_loopback}, options);
    return refused ? refused->status : 200;
  };
  for (const char* host : {"localhost", "localhost:1", "127.0.0.1:8188", "[::1]:80", "box.local:8188"}) {
    EXPECT_EQ(status(host), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example", "10.0.0.1"}) {
    EXPECT_EQ(status(host), 403) << host;
  }
  EXPECT_EQ(status("evil.example", false), 403) << "allowed_hosts counts on every address";
  EXPECT_EQ(status("box.local", false), 200);
  options.allowed_hosts.clear();
  EXPECT_EQ(status("evil.example", false), 200) << "nobody said which names are ours";
}

TEST(Guard, TheKeyMayComeAsACookie) {
  ServerOptions options;
  options.api_key = "s3cr;t";
  auto status = [&](Headers headers) {
    auto refused = refuse_key({"GET", "/view", "localhost", &headers}, options);
    return refused ? refused->status : 200;
  };
  EXPECT_EQ(status({{"Cookie", "a=b; hearth_key=s3cr%3Bt; c=d"}}), 200);
  EXPECT_EQ(status({{"Cookie", "hearth_key=s3cr%3Bt"}}), 200);
  EXPECT_EQ(status({{"Cookie", "xhearth_key=s3cr%3Bt"}}), 401);
  EXPECT_EQ(status({{"Cookie", "hearth_key=other"}}), 401);
  EXPECT_EQ(status({{"Cookie", "hearth_key=%"}}), 401);
  EXPECT_EQ(status({{"x-api-key", "wrong"}, {"Cookie", "hearth_key=s3cr%3Bt"}}), 401) << "headers come first";
}

TEST(Guard, PagesOfOtherOriginsAreRefused) {
  ServerOptions options;
  options.allowed_origins = {"https://app.example"};
  auto status = [&](Headers headers, std::string_view path = "/v1/models") {
    auto refused = refuse_origin({"GET", path, "localhost:8188", &headers}, options);
    return refused ? refused->status : 200;
  };
  EXPECT_EQ(status({}), 200);
  EXPECT_EQ(status({{"Origin", "http://localhost:8188"}}), 200);
  EXPECT_EQ(status({{"Origin", "https://APP.example"}}), 200);
  EXPECT_EQ(status({{"Origin", "https://app.example"}, {"Sec-Fetch-Site", "cross-site"}}), 200);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "same-origin"}}), 200);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}, "/"), 200);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}), 403);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_EQ(status({{"Origin", "http://localhost:3000"}}), 403);
  EXPECT_EQ(status({{"Origin", "null"}}), 403);
  EXPECT_EQ(status({{"Origin", "http://app.example"}}), 403);
  EXPECT_EQ(status({{"Origin", "https://app.example.evil"}}), 403);
}

TEST(Guard, KeysByEitherHeader) {
  ServerOptions options;
  options.api_key = "secret";
  auto status = [&](Headers headers, bool is_open = false) {
    auto refused = refuse_key({"GET", "/", "localhost", &headers, true, is_open}, options);
    return refused ? refused->status : 200;
  };
  EXPECT_EQ(status({{"Authorization", "Bearer secret"}}), 200);
  EXPECT_EQ(status({{"authorization", "bearer  secret"}}), 200);
  EXPECT_EQ(status({{"X-Api-Key", "secret"}}), 200);
  EXPECT_EQ(status({}, true), 200);
  EXPECT_EQ(status({}), 401);
  for (const char* key : {"Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Bearer secretsecret",
                           "Basic secret"}) {
    EXPECT_EQ(status({{"Authorization", key}}), 401) << key;
  }
  EXPECT_FALSE(equal_in_constant_time("", ""));
}

TEST(Guard, RequestIdsAreEchoedWhenSane) {
  EXPECT_TRUE(is_sane_request_id("abc-DEF_1.2:3"));
  for (const char* id : {"", "a b", "a\nb", "\xc3\xa9"}) EXPECT_FALSE(is_sane_request_id(id)) << id;
  EXPECT_FALSE(is_sane_request_id(std::string(129, 'a')));
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(make_request_id());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Router, MatchesExactlyOrByPrefix) {
  Router router({{"GET", "/v1/models", ""}, {"GET", "/v1/models/*", ""}, {"POST", "/v1/models", ""}});
  EXPECT_EQ(router.match("GET", "/v1/models").route->pattern, "/v1/models");
  EXPECT_EQ(router.match("HEAD", "/v1/models").route->method, "GET");
  EXPECT_EQ(router.match("GET", "/v1/models/org/name").rest, "org/name");
  EXPECT_EQ(router.match("GET", "/v1/models/").route, nullptr);
  EXPECT_EQ(router.match("DELETE", "/v1/models").route, nullptr);
  EXPECT_EQ(router.match("DELETE", "/v1/models").allowed,
            (std::vector<std::string>{"GET", "HEAD", "POST", "OPTIONS"}));
  EXPECT_TRUE(router.match("GET", "/v2").allowed.empty());
}

TEST(Router, TakesSegmentsAsTheyWereSent) {
  Router router({{"GET", "/userdata/{file}", ""}, {"POST", "/userdata/{file}/move/{dest}", ""}, {"GET", "/*", ""}});
  RouteMatch match = router.match("GET", "/userdata/workflows%2Fa%20b.json");
  EXPECT_EQ(match.route->pattern, "/userdata/{file}");
  EXPECT_EQ(match.params, std::vector<std::string>{"workflows/a b.json"});
  match = router.match("POST", "/userdata/a%2Fb/move/c%2Fd");
  EXPECT_EQ(match.params, (std::vector<std::string>{"a/b", "c/d"}));
  match = router.match("GET", "/userdata/workflows/a.json");  // two segments: another route's
  EXPECT_EQ(match.route->pattern, "/*");
  EXPECT_EQ(match.rest, "userdata/workflows/a.json");
  EXPECT_EQ(router.match("GET", "/userdata/").route->pattern, "/*");
  EXPECT_EQ(router.match("GET", "/%75serdata/x").route->pattern, "/userdata/{file}");
  EXPECT_EQ(router.match("GET", "/").route, nullptr);
}

TEST(Router, ReadsQueries) {
  EXPECT_EQ(query_value("a=1&b=x%20y+z&c", "b"), "x y z");
  EXPECT_EQ(query_value("a=1", "b", "other"), "other");
  EXPECT_TRUE(has_query_value("a=1&c", "c"));
  const std::map<std::string, std::string> all = query_values("a=1&b=x%2By&&a=2&c&d%20e=+");
  EXPECT_EQ(all, (std::map<std::string, std::string>{{"a", "1"}, {"b", "x+y"}, {"c", ""}, {"d e", " "}}));
  EXPECT_FALSE(has_query_value("", "a"));
  EXPECT_EQ(query_value("a=%zz", "a"), "%zz");
}

TEST(Router, DecodesPaths) {
  EXPECT_EQ(decode_path("/a%2Fb%20c"), "/a/b c");
  for (const char* path : {"/%", "/%2", "/%zz", "/%00"}) EXPECT_FALSE(decode_path(path)) << path;
}

TEST(Wire, HeadersCannotBeInjected) {
  HttpResponse response;
  response.headers = {{"Good", "yes"}, {"Bad", "a\r\nSet-Cookie: x"}};
  std::string head = render_head(response, {});
  EXPECT_NE(head.find("Good: yes\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(render_chunk("hello world, hello"), "12\r\nhello world, hello\r\n");
}

}  // namespace
}  // namespace hearth::http
