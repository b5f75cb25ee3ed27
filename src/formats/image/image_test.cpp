// Pictures that Pillow wrote and what it reads in them (tests/golden/image), our own files read back, and broken ones.
#include "formats/image/picture.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "formats/json/json.h"

namespace hearth::image {
namespace {

fs::path goldens() {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  return (root ? fs::path(root) : fs::path(__FILE__).parent_path() / "../../..") / "tests/golden/image";
}

std::string golden_file(const std::string& name) { return read_text(goldens() / name, 1 << 20).value(); }

std::vector<uint8_t> from_hex(std::string_view hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Picture gradient(int width, int height, int channels) {
  Picture picture{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) picture.samples.push_back(static_cast<uint8_t>(x * 5 + y * 3 + c * 40));
    }
  }
  return picture;
}

int largest_difference(const Picture& a, const Picture& b) {
  EXPECT_EQ(a.samples.size(), b.samples.size());
  int worst = 0;
  for (size_t i = 0; i < a.samples.size(); ++i) worst = std::max(worst, std::abs(a.samples[i] - b.samples[i]));
  return worst;
}

template <class Act>
std::string message_of(Act act, Code code) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  return "nothing was thrown";
}

TEST(Image, ReadsWhatPillowReads) {
  Value wanted = json::parse(golden_file("pictures.json")).value();
  ASSERT_GE(wanted.size(), 25u);
  for (const auto& [name, facts] : wanted.as_object()) {
    SCOPED_TRACE(name);
    Decoded got = decode(golden_file(name));
    EXPECT_EQ(got.picture.width, facts.at("size").as_list()[0].as_int());
    EXPECT_EQ(got.picture.height, facts.at("size").as_list()[1].as_int());
    ASSERT_EQ(got.picture.channels, facts.at("channels").as_int());
    Picture theirs = got.picture;
    theirs.samples = from_hex(facts.at("samples").as_string());
    // Decoders of lossy files may round apart by one.
    EXPECT_LE(largest_difference(got.picture, theirs), name.ends_with(".jpg") || name == "lossy.webp" ? 1 : 0);
    const Value::List& texts = facts.at("texts").as_list();
    ASSERT_EQ(got.texts.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(got.texts[i].key, texts[i].as_list()[0].as_string());
      EXPECT_EQ(got.texts[i].text, texts[i].as_list()[1].as_string());
    }
  }
}

TEST(Image, PngKeepsEverySample) {
  for (int channels = 1; channels <= 4; ++channels) {
    for (int level : {0, 1, 4, 9}) {
      Picture picture = gradient(31, 17, channels);
      Decoded back = decode(encode_png(picture, {.level = level}));
      EXPECT_EQ(back.format, Format::kPng);
      EXPECT_EQ(back.picture.samples, picture.samples);
      EXPECT_EQ(back.picture.channels, channels);
    }
  }
  EXPECT_LT(encode_png(gradient(300, 300, 3), {.level = 9}).size(),
            encode_png(gradient(300, 300, 3), {.level = 0}).size());
}

TEST(Image, PngKeepsItsTexts) {
  std::vector<TextEntry> texts{{"prompt", R"({"3": {"class_type": "KSampler"}})"},
                               {"caf\xc3\xa9", "na\xc3\xafve"},
                               {"Title", "\xe6\x9d\xb1\xe4\xba\xac"},
                               {"empty", ""}};
  std::string file = encode_png(gradient(4, 4, 3), {.texts = texts});
  EXPECT_NE(file.find("tEXtprompt"), std::string::npos);
  EXPECT_NE(file.find("iTXtTitle"), std::string::npos);
  Decoded back = decode(file);
  ASSERT_EQ(back.texts.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(back.texts[i].key, texts[i].key);
    EXPECT_EQ(back.texts[i].text, texts[i].text);
  }
  for (std::string key :
       {std::string(), std::string(80, 'a'), std::string(" a"), std::string("a\nb"), std::string("\xe6\x9d\xb1")}) {
    message_of([&] { encode_png(gradient(4, 4, 3), {.texts = {{key, "x"}}}); }, Code::kInvalidArgument);
  }
}

TEST(Image, JpegAndWebpComeBackClose) {
  Picture picture = gradient(20, 12, 3);
  EXPECT_LE(largest_difference(decode(encode_jpeg(picture, 95)).picture, picture), 12);
  EXPECT_LE(largest_difference(decode(encode_webp(picture, {.quality = 95})).picture, picture), 24);
  EXPECT_EQ(decode(encode_webp(picture, {.is_lossless = true})).picture.samples, picture.samples);
  EXPECT_GT(encode_jpeg(picture, 95).size(), encode_jpeg(picture, 10).size());
  EXPECT_EQ(decode(encode_jpeg(gradient(9, 9, 4), 90)).picture.channels, 3);
  EXPECT_EQ(decode(encode_jpeg(gradient(9, 9, 2), 90)).picture.channels, 1);
  EXPECT_EQ(decode(encode_webp(gradient(9, 9, 4), {})).picture.channels, 4);
  EXPECT_EQ(decode(encode_webp(gradient(9, 9, 1), {})).picture.channels, 3);
}

TEST(Image, EncodersRefuseWhatTheyCannotWrite) {
  message_of([] { encode_jpeg(gradient(4, 4, 3), 101); }, Code::kInvalidArgument);
  message_of([] { encode_webp(gradient(4, 4, 3), {.quality = std::nanf("")}); }, Code::kInvalidArgument);
  message_of([] { encode_png(gradient(4, 4, 3), {.level = 10}); }, Code::kInvalidArgument);
  message_of([] { encode_png({.width = 4, .height = 4, .channels = 3, .samples = {}}); }, Code::kInvalidArgument);
  std::string words = message_of([] { encode_webp(gradient(16384, 1, 3)); }, Code::kInvalidArgument);
  EXPECT_NE(words.find("at most 16383 on a side"), std::string::npos) << words;
  message_of([] { encode_jpeg(gradient(70000, 1, 1), 90); }, Code::kInvalidArgument);
}

TEST(Image, TooManyPixelsAreRefusedBeforeMemoryIsTaken) {
  std::string png = encode_png(gradient(4, 4, 3));
  for (size_t i = 0; i < 8; ++i) png[16 + i] = i % 4 == 1 ? '\x10' : '\0';  // 1048576 pixels on each side
  // The header's checksum no longer fits: whatever is refused first, nothing large is allocated.
  EXPECT_THROW(decode(png), Error);
  std::string jpeg = encode_jpeg(gradient(64, 64, 3), 90);
  std::string words = message_of([&] { decode(jpeg, {.max_pixels = 4095}); }, Code::kInvalidArgument);
  EXPECT_NE(words.find("64x64 pixels, expected at most 4095"), std::string::npos) << words;
  message_of([&] { decode(encode_webp(gradient(64, 64, 3)), {.max_pixels = 4095}); }, Code::kInvalidArgument);
  message_of([&] { decode(encode_png(gradient(64, 64, 3)), {.max_pixels = 4095}); }, Code::kInvalidArgument);
  EXPECT_EQ(decode(jpeg, {.max_pixels = 4096}).picture.width, 64);
}

TEST(Image, TextsAreBounded) {
  std::string file =
      encode_png(gradient(4, 4, 3), {.texts = {{"a", std::string(5000, 'x')}, {"b", std::string(5000, 'y')}}});
  EXPECT_THROW(decode(file, {.max_text_bytes = 9000}), Error);
  EXPECT_EQ(decode(file, {.max_text_bytes = 20000}).texts.size(), 2u);
}

TEST(Image, BrokenFilesAreRefusedWhereverTheyBreak) {
  for (const char* name : {"rgb_interlaced.png", "texts.png", "palette_clear.png", "progressive.jpg", "turned6.jpg",
                           "lossy.webp", "alpha.webp"}) {
    std::string whole = golden_file(name);
    size_t read = 0;
    for (size_t bytes = 0; bytes + 3 < whole.size(); bytes += 5) {
      try {
        decode(std::string_view(whole).substr(0, bytes));
        ++read;
      } catch (const Error& error) {
        EXPECT_NE(error.code(), Code::kInternal) << error.message();
      }
    }
    EXPECT_EQ(read, 0u) << name;
  }
}

TEST(Image, OtherFilesAreNotPictures) {
  for (std::string_view file : {"", "GIF89a", "BM", "<svg/>", "RIFF    WAVE"}) {
    std::string words = message_of([&] { decode(file); }, Code::kUnsupported);
    EXPECT_NE(words.find("not a PNG, JPEG or WebP"), std::string::npos);
  }
  std::string words = message_of([] { decode(golden_file("animated.webp")); }, Code::kUnsupported);
  EXPECT_NE(words.find("animated"), std::string::npos);
}

TEST(Image, FloatsBecomeSamplesByTruncation) {
  std::vector<float> values{0,
                            1,
                            0.5f,
                            -3,
                            7,
                            1.0f / 255,
                            0.9999f,
                            std::nanf(""),
                            std::numeric_limits<float>::infinity(),
                            254.999f / 255,
                            2.0f / 255,
                            0.0039f};
  Picture picture = to_picture(values.data(), 2, 2, 3);
  EXPECT_EQ(picture.samples, (std::vector<uint8_t>{0, 255, 127, 0, 255, 1, 254, 0, 255, 254, 2, 0}));
  std::vector<float> back(12);
  to_floats(picture, back.data());
  EXPECT_EQ(back[2], 127.0f / 255.0f);
}

TEST(Image, ChannelsAreAddedAndDropped) {
  Picture grey = gradient(2, 1, 1);
  EXPECT_EQ(with_channels(grey, 3).samples, (std::vector<uint8_t>{0, 0, 0, 5, 5, 5}));
  EXPECT_EQ(with_channels(grey, 4).samples, (std::vector<uint8_t>{0, 0, 0, 255, 5, 5, 5, 255}));
  EXPECT_EQ(with_channels(gradient(1, 1, 2), 4).samples, (std::vector<uint8_t>{0, 0, 0, 40}));
  EXPECT_EQ(with_channels(gradient(1, 1, 4), 3).samples, (std::vector<uint8_t>{0, 40, 80}));
  EXPECT_EQ(media_type(Format::kWebp), "image/webp");
}

}  // namespace
}  // namespace hearth::image
