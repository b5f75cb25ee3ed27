// Addresses: what is fetched, what is refused, where a token may go. And digests as people and wheels write them.
#include "fetch/http/url.h"

#include <gtest/gtest.h>

#include "fetch/http/partial.h"
#include "fetch/sha256.h"
#include "formats/zip/zip_testing.h"

namespace hearth::fetch {
namespace {

TEST(Url, ParsesAndResolves) {
  Url url = Url::parse("HTTPS://Host.Example/a/b%20c.gguf?x=1#part").value();
  EXPECT_EQ(url.host, "host.example");
  EXPECT_EQ(url.port, "443");
  EXPECT_EQ(url.file_name(), "b c.gguf");
  EXPECT_EQ(url.text.find('#'), std::string::npos);
  EXPECT_EQ(url.resolve("../z")->path, "/z");
  EXPECT_EQ(url.resolve("//other/z")->host, "other");
  EXPECT_FALSE(url.resolve("file:///etc/passwd").has_value());
}

TEST(Url, RefusesWhatIsNoWebAddressOrHoldsAPassword) {
  for (const char* bad : {"", "ftp://x/y", "https://", "not an address", "https://me:pw@x/y", "https://me@x/y"}) {
    EXPECT_FALSE(Url::parse(bad).has_value()) << bad;
  }
}

TEST(Url, KnowsThisMachine) {
  for (const char* own : {"http://localhost/", "http://127.0.0.1:8000/", "http://127.9.9.9/", "http://[::1]:1/"}) {
    EXPECT_TRUE(check_is_safe(Url::parse(own).value(), false).has_value()) << own;
  }
  for (const char* far :
       {"http://example.org/", "http://127.0.0.1.example.org/", "http://localhost.example.org/", "http://10.0.0.1/"}) {
    EXPECT_FALSE(check_is_safe(Url::parse(far).value(), false).has_value()) << far;
    EXPECT_TRUE(check_is_safe(Url::parse(far).value(), true).has_value()) << far;
  }
}

TEST(Url, ComparesOrigins) {
  Url hub = Url::parse("https://hub.example/a").value();
  EXPECT_TRUE(hub.is_same_origin(Url::parse("https://HUB.example:443/b").value()));
  for (const char* other : {"http://hub.example/a", "https://cdn.hub.example/a", "https://hub.example:8443/a"}) {
    EXPECT_FALSE(hub.is_same_origin(Url::parse(other).value())) << other;
  }
}

TEST(Url, EncodesPaths) { EXPECT_EQ(encode_path("a b/c#d?.gguf"), "a%20b/c%23d%3F.gguf"); }

TEST(Sha256, KnownAnswers) {
  Sha256 hash;
  EXPECT_EQ(hash.finish(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hash.add("a", 1);
  hash.add("bc", 2);
  EXPECT_EQ(hash.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, ReadsDigestsAsTheyAreWritten) {
  std::string hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(parse_sha256("sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD").value(), hex);
  EXPECT_FALSE(parse_sha256(hex.substr(1)).has_value());
  EXPECT_FALSE(parse_sha256(hex + "0").has_value());
  EXPECT_FALSE(parse_sha256("z" + hex.substr(1)).has_value());
  EXPECT_EQ(sha256_from_record("sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"), hex);
  EXPECT_EQ(sha256_from_record("md5=abc"), "");
  EXPECT_EQ(sha256_from_record("sha256=short"), "");
}

TEST(Partial, IsTakenUpOnlyForTheSameAddress) {
  zip::TestFolder folder;
  fs::path target = folder.path() / "m.gguf";
  {
    Partial part = Partial::open(target, "http://a/").value();
    part.restart("\"v1\"", 10).value();
    part.write("hello", 5).value();
  }
  EXPECT_EQ(Partial::open(target, "http://a/")->size(), 5);
  Partial same = Partial::open(target, "http://a/").value();
  EXPECT_TRUE(same.was_found());
  EXPECT_EQ(same.etag(), "\"v1\"");
  same.write("world", 5).value();
  Sha256 hash;
  hash.add("helloworld", 10);
  EXPECT_FALSE(fs::exists(target));
  EXPECT_EQ(same.commit(hash.finish()).value().size(), 64u);
  EXPECT_EQ(read_text(target, 100).value(), "helloworld");
  EXPECT_EQ(Partial::open(target, "http://b/")->size(), 0);
}

TEST(Partial, IsThrownAwayWhenItsFactsAreDamagedOrTooSmall) {
  for (const char* facts :
       {"", "{", "[]", R"({"url":"u"})", R"({"url":"u","etag":"e","size":3})", R"({"url":"u","etag":1,"size":9})"}) {
    zip::TestFolder folder;
    folder.write("m.part", "hello");
    folder.write("m.part.json", facts);
    EXPECT_EQ(Partial::open(folder.path() / "m", "u")->size(), 0) << facts;
  }
}

}  // namespace
}  // namespace hearth::fetch
