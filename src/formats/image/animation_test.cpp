// Animations, taken apart again: every frame of a file, put into a file of its own, is the frame that went in.
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "formats/image/picture.h"

namespace hearth::image {
namespace {

Picture frame(uint8_t seed, int channels = 3, int width = 7) {
  Picture made{.width = width, .height = 5, .channels = channels, .samples = {}};
  for (int i = 0; i < width * 5 * channels; ++i) made.samples.push_back(static_cast<uint8_t>(i * 31 + seed));
  return made;
}

std::string number(uint64_t value, int bytes, bool is_big) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * (is_big ? bytes - 1 - i : i)));
  return out;
}
size_t number(std::string_view bytes, bool is_big) {
  size_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[is_big ? i : bytes.size() - 1 - i]);
  return value;
}

struct Chunk {
  std::string name, data;
};

std::vector<Chunk> png_chunks(std::string_view file) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at < file.size();) {
    const size_t size = number(file.substr(at, 4), true);
    chunks.push_back({std::string(file.substr(at + 4, 4)), std::string(file.substr(at + 8, size))});
    at += size + 12;
  }
  return chunks;
}

std::vector<Chunk> riff_chunks(std::string_view bytes) {
  std::vector<Chunk> chunks;
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = number(bytes.substr(at + 4, 4), false);
    chunks.push_back({std::string(bytes.substr(at, 4)), std::string(bytes.substr(at + 8, size))});
    at += size + size % 2 + 8;
  }
  return chunks;
}

TEST(AnimatedPng, HoldsEveryFrameAndItsTexts) {
  const Animation animation{.frames = {frame(1), frame(90), frame(200)}, .frame_ms = 166, .texts = {{"prompt", "{}"}}};
  const std::string file = encode_animated_png(animation);
  EXPECT_EQ(decode(file).picture.samples, animation.frames[0].samples) << "a reader of plain PNGs sees the first";
  const std::vector<Chunk> chunks = png_chunks(file);
  std::string names;
  for (const Chunk& chunk : chunks) names += chunk.name + " ";
  EXPECT_EQ(names, "IHDR acTL fcTL IDAT fcTL fdAT fcTL fdAT comf IEND ");
  EXPECT_EQ(chunks[1].data, number(3, 4, true) + number(0, 4, true)) << "three frames, without end";
  EXPECT_EQ(number(std::string_view(chunks[2].data).substr(20, 2), true), 166u);
  EXPECT_EQ(chunks[8].data, std::string("prompt\0{}", 9));
  for (size_t i = 0, sequence = 0; i < chunks.size(); ++i) {
    if (chunks[i].name != "fcTL" && chunks[i].name != "fdAT") continue;
    EXPECT_EQ(number(std::string_view(chunks[i].data).substr(0, 4), true), sequence++);
  }
}

TEST(AnimatedWebp, HoldsEveryFrameAndItsTexts) {
  for (int channels : {3, 4}) {
    Animation animation{.frames = {frame(1, channels), frame(90, channels)},
                        .frame_ms = 40,
                        .texts = {{"prompt", "{1}"}, {"workflow", "{}"}}};
    for (Picture& one : animation.frames) {
      for (size_t i = 3; channels == 4 && i < one.samples.size(); i += 4)
        one.samples[i] |= 1;  // colours under none are lost
    }
    const std::string file = encode_animated_webp(animation, {.is_lossless = true, .method = 0});
    ASSERT_EQ(file.size(), number(std::string_view(file).substr(4, 4), false) + 8);
    const std::vector<Chunk> chunks = riff_chunks(std::string_view(file).substr(12));
    ASSERT_EQ(chunks.size(), 5u);
    EXPECT_EQ(chunks[0].name + chunks[1].name + chunks[4].name, "VP8XANIMEXIF");
    for (size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(chunks[2 + i].name, "ANMF");
      EXPECT_EQ(number(std::string_view(chunks[2 + i].data).substr(12, 3), false), 40u);
      const std::string inner = "WEBP" + chunks[2 + i].data.substr(16);
      const std::string alone = "RIFF" + number(inner.size(), 4, false) + inner;
      EXPECT_EQ(decode(alone).picture.samples, animation.frames[i].samples) << channels << " channels, frame " << i;
    }
    EXPECT_NE(chunks[4].data.find(std::string("prompt:{1}\0", 11)), std::string::npos);
    EXPECT_LT(chunks[4].data.find("workflow:"), chunks[4].data.find("prompt:")) << "tags in order";
  }
}

TEST(AnimatedWebp, OfOneFrameIsAPicture) {
  const std::string file =
      encode_animated_webp({.frames = {frame(3)}, .texts = {{"prompt", "{}"}}}, {.is_lossless = true});
  EXPECT_EQ(decode(file).picture.samples, frame(3).samples);
}

TEST(Animations, WantFramesOfOneSize) {
  EXPECT_THROW(encode_animated_png({}), Error);
  EXPECT_THROW(encode_animated_png({.frames = {frame(1), frame(1, 3, 8)}}), Error);
  EXPECT_THROW(encode_animated_webp({.frames = {frame(1), frame(1, 4)}}), Error);
  EXPECT_THROW(encode_animated_webp({.frames = {frame(1)}}, {.method = 9}), Error);
}

}  // namespace
}  // namespace hearth::image
